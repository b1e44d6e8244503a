// Python's view of the engine. Every object keeps alive what it points into.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "bindings.h"
#include "dispatch.h"
#include "engine.h"
#include "head.h"
#include "kv_cache.h"
#include "weights.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace trine {
namespace {

template <class T, int kDims>
using In = nb::ndarray<const T, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;
template <class T, int kDims>
using Out = nb::ndarray<T, nb::ndim<kDims>, nb::c_contig, nb::device::cpu>;

// A NumPy array that takes over a vector's memory.
template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> array_of(std::vector<T> values) {
  auto* const own = new std::vector<T>(std::move(values));
  const nb::capsule owner(own, [](void* it) noexcept { delete static_cast<std::vector<T>*>(it); });
  return {own->data(), {own->size()}, owner};
}

constexpr const char* kStepNames[kSteps] = {
    "embed_tokens", "input_layernorm", "qkv_proj",  "rope",
    "attention",    "attn_sub_norm",   "o_proj",    "post_attention_layernorm",
    "gate_up_proj", "ffn_sub_norm",    "down_proj", "norm",
};
constexpr const char* kLinearNames[kLinears] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                "gate_proj", "up_proj", "down_proj"};
constexpr const char* kNormNames[kNorms] = {"input_layernorm", "attn_sub_norm",
                                            "post_attention_layernorm", "ffn_sub_norm"};
constexpr const char* kFloatNames[kFloatTypes] = {"float32", "bfloat16", "float16"};
constexpr const char* kCacheNames[kCaches] = {"float32", "float16", "int8"};

// The rows of a float tensor as bytes, of any of the three types.
Table table(const In<std::uint8_t, 2>& rows, const std::string& type_name) {
  const Float type = named<Float>(kFloatNames, type_name, "float type");
  const std::size_t bytes = kFloatBytes[type];
  if (rows.shape(0) == 0 || rows.shape(1) == 0 || rows.shape(1) % bytes != 0) {
    throw std::invalid_argument("the rows are no matrix of " + type_name);
  }
  return {rows.data(), type, rows.shape(0), rows.shape(1) / bytes};
}

using EventTuple = std::tuple<std::string, int, std::int64_t, std::int64_t>;

std::vector<EventTuple> forward(Engine& engine, const std::vector<KvCache*>& caches,
                                const std::vector<In<std::int64_t, 1>>& tokens,
                                Out<float, 2> hidden, bool record, const nb::object& tap) {
  if (caches.size() != tokens.size()) {
    throw std::invalid_argument("there must be one list of tokens for each cache");
  }
  std::vector<Run> runs;
  std::size_t rows = 0;
  for (std::size_t i = 0; i < caches.size(); ++i) {
    runs.push_back({caches[i], tokens[i].data(), tokens[i].shape(0)});
    rows += tokens[i].shape(0);
  }
  if (hidden.shape(0) != rows || hidden.shape(1) != engine.columns()) {
    throw std::invalid_argument("hidden must be [tokens, hidden size]");
  }
  std::vector<Event> events;
  Watch watch;
  // A Python error, of a signal handler or of the tap, stays set until the pass has stopped:
  // workers cannot throw.
  bool failed = false;
  watch.stop = [&failed] {
    const nb::gil_scoped_acquire gil;
    return failed || PyErr_CheckSignals() != 0;
  };
  if (record) {
    events.reserve(64 + 16 * 64);
    watch.events = &events;
  }
  if (!tap.is_none()) {
    watch.tap = [&tap, &failed](Step step, int layer, const float* data, std::size_t count,
                                std::size_t columns, const float* scales) {
      if (failed) return;
      const nb::gil_scoped_acquire gil;
      try {
        const nb::ndarray<nb::numpy, const float, nb::ndim<2>> values(data, {count, columns});
        nb::object scale_array = nb::none();
        if (scales != nullptr) {
          scale_array = nb::cast(nb::ndarray<nb::numpy, const float, nb::ndim<1>>(scales, {count}),
                                 nb::rv_policy::copy);
        }
        tap(kStepNames[step], layer, nb::cast(values, nb::rv_policy::copy), scale_array);
      } catch (nb::python_error& error) {
        error.restore();
        failed = true;
      }
    };
  }
  std::vector<std::size_t> lengths;
  for (const KvCache* cache : caches) lengths.push_back(cache->length);
  bool finished = false;
  {
    const nb::gil_scoped_release no_gil;
    finished = engine.forward(runs, hidden.data(), watch);
  }
  if (!finished || failed) {
    for (std::size_t i = 0; i < caches.size(); ++i) caches[i]->length = lengths[i];
    throw nb::python_error();
  }
  std::vector<EventTuple> named_events;
  named_events.reserve(events.size());
  for (const Event& event : events) {
    named_events.emplace_back(kStepNames[event.step], event.layer, event.begin, event.end);
  }
  return named_events;
}

template <class Head>
void logits(const Head& head, std::size_t rows, std::size_t columns, In<float, 2> hidden,
            Out<float, 2> out) {
  if (hidden.shape(1) != columns || out.shape(0) != hidden.shape(0) || out.shape(1) != rows) {
    throw std::invalid_argument("hidden must be [tokens, hidden size], out [tokens, vocabulary]");
  }
  const nb::gil_scoped_release no_gil;
  head.logits(hidden.data(), hidden.shape(0), out.data());
}

void bind_weights(nb::module_& module) {
  nb::class_<Geometry>(module, "Geometry")
      .def(
          "__init__",
          [](Geometry* self, std::size_t vocabulary, std::size_t hidden, std::size_t ffn,
             std::size_t layers, std::size_t heads, std::size_t kv_heads, std::size_t head_dim,
             float rms_norm_eps, const std::string& activation, bool sub_norms) {
            new (self) Geometry{vocabulary,
                                hidden,
                                ffn,
                                layers,
                                heads,
                                kv_heads,
                                head_dim,
                                rms_norm_eps,
                                named<Activation>(kActivationNames, activation, "activation"),
                                sub_norms};
          },
          "vocabulary"_a, "hidden"_a, "ffn"_a, "layers"_a, "heads"_a, "kv_heads"_a, "head_dim"_a,
          "rms_norm_eps"_a, "activation"_a, "sub_norms"_a);
  nb::class_<Weights>(module, "Weights")
      .def(
          "__init__",
          [](Weights* self, const Geometry& geometry, const std::string& code) {
            new (self) Weights(geometry, named<Code>(kCodeNames, code, "layout"));
          },
          "geometry"_a, "code"_a)
      .def_prop_ro("body_bytes", &Weights::body_bytes)
      .def_prop_ro("layers", [](const Weights& self) { return self.geometry().layers; })
      .def(
          "set_linear",
          [](Weights& self, std::size_t layer, const std::string& linear,
             In<std::uint8_t, 2> packed, float scale, Pool& pool) {
            const HfMatrix from{packed.data(), 4 * packed.shape(0), packed.shape(1)};
            const auto which = named<Linear>(kLinearNames, linear, "matrix");
            const nb::gil_scoped_release no_gil;
            return self.set_linear(layer, which, from, scale, pool);
          },
          "layer"_a, "linear"_a, "packed"_a, "scale"_a, "pool"_a)
      .def(
          "set_norm",
          [](Weights& self, std::size_t layer, const std::string& norm, In<float, 1> weight) {
            self.set_norm(layer, named<Norm>(kNormNames, norm, "norm"), weight.data(),
                          weight.shape(0));
          },
          "layer"_a, "norm"_a, "weight"_a)
      .def(
          "set_final_norm",
          [](Weights& self, In<float, 1> weight) {
            self.set_final_norm(weight.data(), weight.shape(0));
          },
          "weight"_a);
}

void bind_session(nb::module_& module) {
  nb::class_<KvCache>(module, "KvCache")
      .def(
          "__init__",
          [](KvCache* self, std::size_t layers, std::size_t kv_heads, std::size_t head_dim,
             std::size_t capacity, const std::string& type) {
            if (capacity == 0)
              throw std::invalid_argument("a KV cache holds at least one position");
            new (self) KvCache({layers, kv_heads, head_dim, capacity},
                               named<Cache>(kCacheNames, type, "cache type"));
          },
          "layers"_a, "kv_heads"_a, "head_dim"_a, "capacity"_a, "type"_a)
      .def_prop_ro("capacity", &KvCache::capacity)
      .def_prop_ro("bytes_per_position", &KvCache::bytes_per_position)
      .def_prop_rw(
          "length", [](const KvCache& self) { return self.length; },
          [](KvCache& self, std::size_t length) {
            if (length > self.length) {
              throw std::invalid_argument("a KV cache can only be shortened");
            }
            self.length = length;
          });
}

void bind_heads(nb::module_& module) {
  nb::class_<FloatHead>(module, "FloatHead")
      .def(
          "__init__",
          [](FloatHead* self, const std::string& isa, Pool& pool, In<std::uint8_t, 2> rows,
             const std::string& type) {
            new (self) FloatHead(ops_of(isa), pool, table(rows, type));
          },
          "isa"_a, "pool"_a, "rows"_a, "type"_a, nb::keep_alive<1, 3>(), nb::keep_alive<1, 4>())
      .def(
          "logits",
          [](const FloatHead& self, In<float, 2> hidden, Out<float, 2> out) {
            logits(self, self.rows().count, self.rows().columns, hidden, out);
          },
          "hidden"_a, "out"_a.noconvert());
  nb::class_<Int8Head>(module, "Int8Head")
      .def(
          "__init__",
          [](Int8Head* self, const std::string& isa, Pool& pool, In<std::uint8_t, 2> rows,
             const std::string& type) {
            const Table from = table(rows, type);
            const nb::gil_scoped_release no_gil;
            new (self) Int8Head(ops_of(isa), pool, from);
          },
          "isa"_a, "pool"_a, "rows"_a, "type"_a, nb::keep_alive<1, 3>())
      .def_prop_ro("bytes", &Int8Head::bytes)
      .def(
          "logits",
          [](const Int8Head& self, In<float, 2> hidden, Out<float, 2> out) {
            logits(self, self.count(), self.columns(), hidden, out);
          },
          "hidden"_a, "out"_a.noconvert());
  nb::class_<ScreenedHead>(module, "ScreenedHead")
      .def(
          "__init__",
          [](ScreenedHead* self, const std::string& isa, Pool& pool, In<std::uint8_t, 2> rows,
             const std::string& type, const std::string& code) {
            const Table from = table(rows, type);
            const Code layout = named<Code>(kCodeNames, code, "layout");
            const nb::gil_scoped_release no_gil;
            new (self) ScreenedHead(ops_of(isa), pool, from, layout);
          },
          "isa"_a, "pool"_a, "rows"_a, "type"_a, "code"_a, nb::keep_alive<1, 3>(),
          nb::keep_alive<1, 4>())
      .def_prop_ro("bytes", &ScreenedHead::bytes)
      .def(
          "select",
          [](ScreenedHead& self, In<float, 1> hidden, std::size_t keep, bool exact) {
            if (hidden.shape(0) != self.columns() || keep == 0) {
              throw std::invalid_argument("hidden must be [hidden size], keep positive");
            }
            Selection selection;
            {
              const nb::gil_scoped_release no_gil;
              selection = self.select(hidden.data(), keep, exact);
            }
            return nb::make_tuple(array_of(std::move(selection.rows)),
                                  array_of(std::move(selection.logits)), selection.certified,
                                  selection.widened);
          },
          "hidden"_a, "keep"_a, "exact"_a)
      .def(
          "scores",
          [](ScreenedHead& self, In<float, 1> hidden, Out<float, 1> out) {
            if (hidden.shape(0) != self.columns() || out.shape(0) != self.count()) {
              throw std::invalid_argument("hidden must be [hidden size], out [vocabulary]");
            }
            const nb::gil_scoped_release no_gil;
            self.scores(hidden.data(), out.data());
          },
          "hidden"_a, "out"_a.noconvert())
      .def(
          "last_scores",
          [](const ScreenedHead& self, Out<float, 1> out) {
            if (out.shape(0) != self.count()) {
              throw std::invalid_argument("out must be [vocabulary]");
            }
            std::copy_n(self.last_scores(), self.count(), out.data());
          },
          "out"_a.noconvert());
}

}  // namespace

void bind_engine(nb::module_& module) {
  bind_weights(module);
  bind_session(module);
  bind_heads(module);
  nb::class_<Engine>(module, "Engine")
      .def(
          "__init__",
          [](Engine* self, const std::string& isa, const Weights& weights, Pool& pool,
             In<std::uint8_t, 2> embedding, const std::string& type, In<float, 2> cos,
             In<float, 2> sin, std::size_t max_rows) {
            const std::size_t half = weights.geometry().head_dim / 2;
            if (cos.shape(1) != half || sin.shape(1) != half || cos.shape(0) != sin.shape(0)) {
              throw std::invalid_argument("cos and sin must be [positions, head dimension / 2]");
            }
            new (self) Engine(ops_of(isa), weights, pool, table(embedding, type), cos.data(),
                              sin.data(), cos.shape(0), max_rows);
          },
          "isa"_a, "weights"_a, "pool"_a, "embedding"_a, "type"_a, "cos"_a, "sin"_a, "max_rows"_a,
          nb::keep_alive<1, 3>(), nb::keep_alive<1, 4>(), nb::keep_alive<1, 5>(),
          nb::keep_alive<1, 7>(), nb::keep_alive<1, 8>())
      .def_prop_ro("max_rows", &Engine::max_rows)
      .def("forward", &forward, "caches"_a, "tokens"_a, "hidden"_a.noconvert(), "record"_a,
           "tap"_a.none());
}

}  // namespace trine
