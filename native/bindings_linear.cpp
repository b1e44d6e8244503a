// Python's view of one BitLinear at a time: what the PyTorch operator calls.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "bindings.h"
#include "dispatch.h"
#include "multiply.h"
#include "tiles.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace trine {
namespace {

template <class T, int kDims>
using In = nb::ndarray<const T, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void check(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

// Products of any size on one pool. The memory that they need is kept between calls: a decoded
// token makes hundreds of them. One product at a time: further callers wait.
class BitLinear {
 public:
  BitLinear(const std::string& isa, Pool& pool) : ops_(ops_of(isa)), pool_(pool) {
    for (int worker = 0; worker < pool.threads(); ++worker) scratch_.emplace_back(ops_);
  }

  void run(const std::string& code_name, In<std::uint8_t, 3> tiles, In<std::int32_t, 1> row_sums,
           float weight_scale, In<float, 2> x, Out out) {
    const auto code = named<Code>(kCodeNames, code_name, "layout");
    const TernaryMatrix matrix{code, x.shape(1), tiles.shape(0), tiles.data(), row_sums.data()};
    const std::size_t rows = out.shape(1);
    check(matrix.k > 0 && rows > 0, "K and N must be positive");
    check(matrix.k <= kMaxK, "K is larger than the kernels' sums allow");
    check(tiles.shape(2) == kLineBytes && tiles.shape(1) == matrix.lines(),
          "the packed matrix is of another K than the activations");
    check(tiles.shape(0) == (rows + kTileRows - 1) / kTileRows,
          "the packed matrix is of another N");
    check(row_sums.shape(0) == matrix.tiles * kTileRows,
          "there must be one row sum for each row of the tiles");
    check(out.shape(0) == x.shape(0), "out must have a row for each token");

    const nb::gil_scoped_release no_gil;
    const std::lock_guard<std::mutex> lock(one_product_);
    for (std::size_t first = 0; first < x.shape(0); first += kTokens) {
      multiply(matrix, weight_scale, x.data() + first * matrix.k,
               std::min(kTokens, x.shape(0) - first), rows, out.data() + first * rows);
    }
  }

 private:
  // Activations of more tokens at once would only cost memory.
  static constexpr std::size_t kTokens = 512;

  void multiply(const TernaryMatrix& matrix, float weight_scale, const float* x, std::size_t tokens,
                std::size_t rows, float* out) {
    quantised_.reserve(tokens, matrix.k);
    quantised_.begin(matrix.code, tokens, matrix.k);
    const Multiplication product(ops_, matrix, quantised_);
    const auto write = [&](const Block& block) {
      const std::size_t row = block.first_tile * kTileRows;
      const std::size_t n = std::min(block.tiles * kTileRows, rows - row);
      for (std::size_t t = 0; t < block.tokens; ++t) {
        const std::size_t token = block.first_token + t;
        ops_.decoder.dequantise(block.sums + t * block.stride, n, weight_scale,
                                quantised_.scales()[token], out + token * rows + row);
      }
    };
    Items groups(pool_.threads());
    Items products(pool_.threads());
    pool_.run([&](int worker) {
      quantised_.fill(groups, [&](std::size_t t) { quantised_.quantise(t, x + t * matrix.k); });
      pool_.barrier();
      product.work(worker, products, scratch_[static_cast<std::size_t>(worker)], write);
    });
  }

  const Ops& ops_;
  Pool& pool_;
  std::vector<Scratch> scratch_;
  std::mutex one_product_;
  QuantisedTokens quantised_{ops_, 1, 1};
};

}  // namespace

void bind_linear(nb::module_& module) {
  nb::class_<BitLinear>(module, "BitLinear")
      .def(nb::init<const std::string&, Pool&>(), "isa"_a, "pool"_a, nb::keep_alive<1, 3>())
      .def("run", &BitLinear::run, "code"_a, "tiles"_a, "row_sums"_a, "weight_scale"_a, "x"_a,
           "out"_a.noconvert());
}

}  // namespace trine
