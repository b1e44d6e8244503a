// The forward pass of the decoder: token ids to hidden states, on a pool of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "aligned_array.h"
#include "isa/ops.h"
#include "kv_cache.h"
#include "multiply.h"
#include "pool.h"
#include "weights.h"

namespace trine {

// What a forward pass consists of, in order. Norms include the quantisation of what they give.
enum Step {
  kEmbed,
  kInputNormStep,
  kQkvStep,
  kRopeStep,
  kAttentionStep,
  kAttentionNormStep,
  kOutputStep,
  kPostNormStep,
  kGateUpStep,
  kFfnNormStep,
  kDownStep,
  kFinalNormStep,
  kSteps,
};

// One step of a pass, in nanoseconds of the steady clock; `layer` is -1 outside the layers.
struct Event {
  Step step;
  int layer;
  std::int64_t begin;
  std::int64_t end;
};

// Tokens that continue one session.
struct Run {
  KvCache* cache;
  const std::int64_t* tokens;
  std::size_t count;
};

struct Watch {
  // Asked now and then by the calling thread; true stops the pass.
  std::function<bool()> stop;
  // When not null, receives the steps. Costs nothing otherwise.
  std::vector<Event>* events = nullptr;
  // When set, sees every step's result: rows x columns float32, with the rows' int8 scales where
  // the step quantised (null otherwise).
  std::function<void(Step, int layer, const float*, std::size_t rows, std::size_t columns,
                     const float* scales)>
      tap;
};

// The embedding, as it stands in the checkpoint's file.
struct Table {
  const void* rows;
  Float type;
  std::size_t count;
  std::size_t columns;

  const void* row(std::size_t index) const {
    return static_cast<const std::uint8_t*>(rows) + index * columns * kFloatBytes[type];
  }
};

class Engine {
 public:
  // `cos` and `sin` are [positions][head_dim / 2]. Table and rotations must outlive the engine;
  // max_rows is the most tokens of one pass.
  Engine(const Ops& ops, const Weights& weights, Pool& pool, const Table& embedding,
         const float* cos, const float* sin, std::size_t positions, std::size_t max_rows);

  // Runs all tokens of all runs through the decoder and moves their caches on. Writes the normed
  // hidden state [hidden] of every token to `hidden`, in order. Returns false, with nothing
  // changed but the caches' memory behind their length, when stopped. Throws
  // std::invalid_argument for no tokens, too many, an id outside the vocabulary, a cache that is
  // full or given twice.
  bool forward(const std::vector<Run>& runs, float* hidden, const Watch& watch);

  std::size_t max_rows() const { return max_rows_; }
  std::size_t columns() const { return weights_.geometry().hidden; }

 private:
  struct Row {
    KvCache* cache;
    std::size_t position;
    std::int64_t token;
  };
  // Query tokens of one run that one call of `attend` takes.
  struct Span {
    std::size_t first_row;
    std::size_t rows;
  };
  // Keys of a decoded token that one call of `attend` takes.
  struct Part {
    std::size_t row;
    std::size_t first;
    std::size_t positions;
  };
  struct Worker {
    Worker(const Ops& ops, const Weights& weights);
    Scratch scratch;
    AlignedArray<float> attention;
    AlignedArray<float> queries;
    AlignedArray<float> mixed;
    AlignedArray<float> normed;
    QuantisedTokens quantised;  // of the only token
    // Nanoseconds in the attention of decoded tokens.
    std::int64_t rotating = 0;
    std::int64_t attending = 0;
  };
  class Pass;

  void plan(const std::vector<Run>& runs);
  void plan_parts();
  void grow(std::size_t rows);

  const Ops& ops_;
  const Weights& weights_;
  Pool& pool_;
  Table embedding_;
  const float* cos_;
  const float* sin_;
  std::size_t positions_;
  std::size_t max_rows_;

  std::mutex one_pass_;
  std::vector<Row> rows_;
  std::vector<Span> spans_;
  bool one_token_each_ = false;  // of every session; a span is then a row
  // Of tokens with so many keys that several workers share those of a head; else none.
  std::vector<Part> parts_;
  AlignedArray<float> part_outs_;      // [part][head][head_dim]
  AlignedArray<float> part_log_sums_;  // [part][head]
  std::vector<Worker> workers_;
  std::size_t room_ = 0;  // rows that the arrays below hold
  AlignedArray<float> x_;
  AlignedArray<float> qkv_;
  AlignedArray<float> mixed_;
  AlignedArray<float> inner_;
  AlignedArray<float> normed_;  // for the tap only
  QuantisedTokens quantised_;
};

}  // namespace trine
