// Python's view of the kernels, one product at a time: what tests and benchmarks call.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <stdexcept>
#include <vector>

#include "bindings.h"
#include "dispatch.h"
#include "multiply.h"
#include "probe.h"
#include "tiles.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace trine {
namespace {

using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Packed = nb::ndarray<const std::uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Int8 = nb::ndarray<const std::int8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Int32 = nb::ndarray<std::int32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using RowSums = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void check(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

// out[t, r] = exact dot products, rows padded to whole tiles.
void accumulate(const std::string& isa, const std::string& code_name, Bytes tiles, RowSums row_sums,
                Int8 activations, Pool& pool, Int32 out) {
  const Ops& ops = ops_of(isa);
  const Code code = named<Code>(kCodeNames, code_name, "layout");
  const std::size_t tokens = activations.shape(0);
  const TernaryMatrix matrix{code, activations.shape(1), tiles.shape(0), tiles.data(),
                             row_sums.data()};
  check(tokens > 0 && matrix.k > 0, "tokens and K must be positive");
  check(matrix.k <= kMaxK, "K is larger than the kernels' sums allow");
  check(tiles.shape(2) == kLineBytes && tiles.shape(1) == matrix.lines(),
        "the packed matrix is of another K than the activations");
  const std::size_t rows = matrix.tiles * kTileRows;
  check(row_sums.shape(0) == rows, "there must be one row sum for each row of the tiles");
  check(out.shape(0) == tokens && out.shape(1) == rows, "out must be [tokens, rows of the tiles]");

  const nb::gil_scoped_release no_gil;
  QuantisedTokens quantised(ops, tokens, matrix.k);
  quantised.begin(code, tokens, matrix.k);
  Items groups(1);
  quantised.fill(groups,
                 [&](std::size_t t) { quantised.copy(t, activations.data() + t * matrix.k); });
  std::vector<Scratch> scratch;
  for (int worker = 0; worker < pool.threads(); ++worker) scratch.emplace_back(ops);
  const Multiplication product(ops, matrix, quantised);
  std::int32_t* const sums = out.data();
  const auto keep = [&](const Block& block) {
    for (std::size_t t = 0; t < block.tokens; ++t) {
      std::memcpy(sums + (block.first_token + t) * rows + block.first_tile * kTileRows,
                  block.sums + t * block.stride, block.tiles * kTileRows * sizeof *sums);
    }
  };
  Items items(pool.threads());
  pool.run([&](int worker) {
    product.work(worker, items, scratch[static_cast<std::size_t>(worker)], keep);
  });
}

// Packs a matrix of a Hugging Face checkpoint; false when it holds the illegal code.
bool pack_hf(const std::string& code_name, Packed packed,
             nb::ndarray<std::uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu> tiles,
             nb::ndarray<std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> row_sums,
             Pool& pool) {
  const Code code = named<Code>(kCodeNames, code_name, "layout");
  const HfMatrix from{packed.data(), 4 * packed.shape(0), packed.shape(1)};
  const std::size_t count = (from.n + kTileRows - 1) / kTileRows;
  const std::size_t tile_bytes = lines_of(code, from.k) * kLineBytes;
  check(from.n > 0 && from.k > 0, "the matrix is empty");
  check(tiles.shape(0) == count && tiles.shape(1) * tiles.shape(2) == tile_bytes &&
            row_sums.shape(0) == count * kTileRows,
        "tiles and row sums must have the size of the packed matrix");
  std::atomic<bool> legal{true};
  const nb::gil_scoped_release no_gil;
  Items items(pool.threads());
  pool.run([&](int) {
    for (std::size_t tile = items.take(); tile < count; tile = items.take()) {
      for (std::size_t r = 0; r < kTileRows; ++r) {
        const std::size_t row = tile * kTileRows + r;
        if (!pack_row(code, from, row, tiles.data() + tile * tile_bytes + r * kLaneBytes,
                      row_sums.data() + row)) {
          legal.store(false);
        }
      }
    }
  });
  return legal.load();
}

}  // namespace

void bind_kernels(nb::module_& module) {
  module.attr("MAX_K") = kMaxK;
  module.attr("MAX_GEMV_TOKENS") = kMaxGemvTokens;
  nb::class_<Pool>(module, "Pool")
      .def(nb::init<int>(), "threads"_a)
      .def_prop_ro("threads", &Pool::threads);
  module.def("accumulate", &accumulate, "isa"_a, "code"_a, "tiles"_a, "row_sums"_a, "activations"_a,
             "pool"_a, "out"_a.noconvert());
  module.attr("GEMV_PROBE_K") = kGemvProbeK;
  module.def(
      "probe_gemv",
      [](const std::string& isa, const std::string& code, int threads, int passes) {
        return probe_gemv(isa, named<Code>(kCodeNames, code, "layout"), threads, passes);
      },
      "isa"_a, "code"_a, "threads"_a, "passes"_a, nb::call_guard<nb::gil_scoped_release>());
  module.def("pack_hf", &pack_hf, "code"_a, "packed"_a, "tiles"_a.noconvert(),
             "row_sums"_a.noconvert(), "pool"_a);
}

}  // namespace trine
