// Python's view of what stands around the attention of a decoder layer: what the PyTorch operators
// `trine::qkv_rope`, `trine::output_mlp` and `trine::decode_attention` call.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "bindings.h"
#include "cache_attention.h"
#include "dispatch.h"
#include "layer_kernels.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace trine {
namespace {

// Tensors of float32, bfloat16 or float16, which NumPy does not know all of.
using Floats = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<nb::c_contig, nb::device::cpu>;
template <class T, int kDims>
using In = nb::ndarray<const T, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;

// A BitLinear's packed matrix: tiles, sums of rows, scale.
using Packed = std::tuple<In<std::uint8_t, 3>, In<std::int32_t, 1>, In<float, 1>>;

void check(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

template <class Array>
Float type_of(const Array& array) {
  const nb::dlpack::dtype type = array.dtype();
  if (type == nb::dtype<float>()) return kF32;
  const bool half = type.bits == 16 && type.lanes == 1;
  if (half && type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Bfloat)) return kBf16;
  check(half && type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float),
        "floats must be float32, bfloat16 or float16");
  return kF16;
}

// Of exactly this shape.
template <class Array>
void shaped(const Array& array, std::initializer_list<std::size_t> shape, const char* what) {
  bool same = array.ndim() == shape.size();
  std::size_t i = 0;
  for (std::size_t n : shape) {
    same = same && array.shape(i) == n;
    ++i;
  }
  check(same, what);
}

FloatView view(const Floats& floats) { return {type_of(floats), floats.data()}; }
FloatOut out_view(const Out& out) { return {type_of(out), out.data()}; }

NormView norm_view(const std::optional<Floats>& weight, std::size_t n, float eps) {
  if (!weight) return {{kF32, nullptr}, 0.0f};
  shaped(*weight, {n}, "a norm has a weight for each feature");
  return {view(*weight), eps};
}

LinearView linear_view(const Packed& packed, Code code, std::size_t k, std::size_t rows) {
  const auto& [tiles, row_sums, scale] = packed;
  const TernaryMatrix matrix{code, k, tiles.shape(0), tiles.data(), row_sums.data()};
  check(k > 0 && rows > 0, "K and N must be positive");
  check(k <= kMaxK, "K is larger than the kernels' sums allow");
  check(tiles.shape(2) == kLineBytes && tiles.shape(1) == matrix.lines(),
        "a packed matrix is of another K than its input");
  check(tiles.shape(0) == (rows + kTileRows - 1) / kTileRows, "a packed matrix is of another N");
  check(row_sums.shape(0) == matrix.tiles * kTileRows,
        "there must be one row sum for each row of the tiles");
  check(scale.shape(0) == 1, "a packed matrix has one scale");
  return {matrix, rows, *scale.data()};
}

void qkv(LayerKernels& self, const std::string& code_name, const Floats& x, const Floats& norm,
         float eps, const std::vector<Packed>& linears, const Floats& cos, const Floats& sin,
         const std::vector<Out>& out) {
  const auto code = named<Code>(kCodeNames, code_name, "layout");
  check(x.ndim() == 3, "x must be [sequences, tokens, features]");
  check(linears.size() == kQkvs && out.size() == kQkvs, "there must be q, k and v");
  const std::size_t sequences = x.shape(0);
  const std::size_t length = x.shape(1);
  const std::size_t k = x.shape(2);
  check(cos.ndim() == 3 && cos.shape(2) % 2 == 0 && cos.shape(2) > 0,
        "cos must be [sequences, tokens, head dimension], which is even");
  const std::size_t head_dim = cos.shape(2);
  const bool own_positions = cos.shape(0) != 1;
  for (const Floats* each : {&cos, &sin}) {
    shaped(*each, {own_positions ? sequences : 1, length, head_dim},
           "cos and sin must have a row for each token, of each sequence or of one");
  }
  QkvCall call{sequences, length,    view(x),   norm_view(norm, k, eps), {},
               head_dim,  view(cos), view(sin), own_positions,           {}};
  for (std::size_t i = 0; i < kQkvs; ++i) {
    check(out[i].ndim() == 4, "q, k and v must be [sequences, heads, tokens, head dimension]");
    shaped(out[i], {sequences, out[i].shape(1), length, head_dim},
           "q, k and v must be [sequences, heads, tokens, head dimension]");
    call.linears[i] = linear_view(linears[i], code, k, out[i].shape(1) * head_dim);
    call.out[i] = out_view(out[i]);
  }
  const nb::gil_scoped_release no_gil;
  self.qkv(call);
}

void output_mlp(LayerKernels& self, const std::string& code_name, const std::string& activation,
                const Floats& mixed, const Floats& x, const std::optional<Floats>& attention_norm,
                const Floats& post_norm, const std::optional<Floats>& ffn_norm,
                const std::vector<float>& eps, const std::vector<Packed>& linears, std::size_t ffn,
                const Out& out) {
  const auto code = named<Code>(kCodeNames, code_name, "layout");
  check(mixed.ndim() == 2 && x.ndim() == 2, "x and the attention must be [tokens, features]");
  check(linears.size() == 4, "there must be o, gate, up and down");
  check(eps.size() == 3, "there must be an epsilon for each of three norms");
  const std::size_t tokens = x.shape(0);
  const std::size_t hidden = x.shape(1);
  const std::size_t k = mixed.shape(1);
  shaped(mixed, {tokens, k}, "the attention must have a row for each token");
  shaped(out, {tokens, hidden}, "out must have the shape of x");
  const OutputMlpCall call{tokens,
                           view(mixed),
                           view(x),
                           norm_view(attention_norm, k, eps[0]),
                           norm_view(post_norm, hidden, eps[1]),
                           norm_view(ffn_norm, ffn, eps[2]),
                           linear_view(linears[0], code, k, hidden),
                           linear_view(linears[1], code, hidden, ffn),
                           linear_view(linears[2], code, hidden, ffn),
                           linear_view(linears[3], code, ffn, hidden),
                           named<Activation>(kActivationNames, activation, "activation"),
                           out_view(out)};
  const nb::gil_scoped_release no_gil;
  self.output_mlp(call);
}

void attend(CacheAttention& self, const Floats& query, const Floats& key, const Floats& value,
            float scaling, const Out& out) {
  check(query.ndim() == 4 && key.ndim() == 4,
        "q, k and v must be [sequences, heads, tokens, head dimension]");
  const AttendCall call{query.shape(0), query.shape(1), key.shape(1), key.shape(2), query.shape(3),
                        scaling,        view(query),    view(key),    view(value),  out_view(out)};
  shaped(query, {call.sequences, call.heads, 1, call.head_dim}, "there must be one query");
  for (const Floats* each : {&key, &value}) {
    shaped(*each, {call.sequences, call.kv_heads, call.keys, call.head_dim},
           "k and v must be of one shape, and of q's sequences and head dimension");
  }
  check(call.kv_heads > 0 && call.heads % call.kv_heads == 0,
        "the heads of q must be a multiple of those of k");
  check(call.keys > 0, "there must be a key");
  shaped(out, {call.sequences, 1, call.heads * call.head_dim},
         "out must be [sequences, 1, heads * head dimension]");
  const nb::gil_scoped_release no_gil;
  self.run(call);
}

}  // namespace

void bind_layer(nb::module_& module) {
  nb::class_<LayerKernels>(module, "LayerKernels")
      .def(
          "__init__",
          [](LayerKernels* self, const std::string& isa, Pool& pool) {
            new (self) LayerKernels(ops_of(isa), pool);
          },
          "isa"_a, "pool"_a, nb::keep_alive<1, 3>())
      .def("qkv", &qkv, "code"_a, "x"_a, "norm"_a, "eps"_a, "linears"_a, "cos"_a, "sin"_a, "out"_a)
      .def("output_mlp", &output_mlp, "code"_a, "activation"_a, "mixed"_a, "x"_a,
           "attention_norm"_a.none(), "post_norm"_a, "ffn_norm"_a.none(), "eps"_a, "linears"_a,
           "ffn"_a, "out"_a);
  nb::class_<CacheAttention>(module, "CacheAttention")
      .def(
          "__init__",
          [](CacheAttention* self, const std::string& isa, Pool& pool) {
            new (self) CacheAttention(ops_of(isa), pool);
          },
          "isa"_a, "pool"_a, nb::keep_alive<1, 3>())
      .def("run", &attend, "query"_a, "key"_a, "value"_a, "scaling"_a, "out"_a);
}

}  // namespace trine
