#include "engine.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <string>

namespace trine {
namespace {

using Clock = std::chrono::steady_clock;

// Ctrl-C must be seen within 100 ms; a check takes a microsecond.
constexpr std::chrono::milliseconds kStopInterval{20};

// Keys of a part: a hundred microseconds or less, and whole blocks. What they are does not depend
// on the number of workers, so neither do results.
constexpr std::size_t kPartKeys = 512;
static_assert(kPartKeys % kBlockKeys == 0);

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
      .count();
}

}  // namespace

Engine::Worker::Worker(const Ops& ops, const Weights& weights)
    : scratch(ops),
      attention(attend_scratch(weights.geometry().head_dim)),
      queries(kAttendRows * weights.geometry().head_dim),
      mixed(kAttendRows * weights.geometry().head_dim),
      normed(weights.widest_k()),
      quantised(ops, 1, weights.widest_k()) {}

Engine::Engine(const Ops& ops, const Weights& weights, Pool& pool, const Table& embedding,
               const float* cos, const float* sin, std::size_t positions, std::size_t max_rows)
    : ops_(ops),
      weights_(weights),
      pool_(pool),
      embedding_(embedding),
      cos_(cos),
      sin_(sin),
      positions_(positions),
      max_rows_(max_rows),
      quantised_(ops, 1, 1) {
  if (embedding.columns != weights.geometry().hidden) {
    throw std::invalid_argument("the embedding has another width than the decoder");
  }
  for (int worker = 0; worker < pool.threads(); ++worker) workers_.emplace_back(ops, weights);
}

void Engine::grow(std::size_t rows) {
  if (rows <= room_) return;
  const Geometry& g = weights_.geometry();
  const std::size_t qkv = weights_.value_row() + round_up(g.key_rows(), kTileRows);
  room_ = 0;  // nothing is left half grown when memory runs out
  x_ = AlignedArray<float>(rows * g.hidden);
  qkv_ = AlignedArray<float>(rows * qkv);
  mixed_ = AlignedArray<float>(rows * g.query_rows());
  inner_ = AlignedArray<float>(rows * g.ffn);
  quantised_ = QuantisedTokens(ops_, rows, weights_.widest_k());
  room_ = rows;
}

void Engine::plan(const std::vector<Run>& runs) {
  const Geometry& g = weights_.geometry();
  const std::size_t span_tokens = kAttendRows / (g.heads / g.kv_heads);
  rows_.clear();
  spans_.clear();
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const Run& run = runs[r];
    for (std::size_t other = 0; other < r; ++other) {
      if (runs[other].cache == run.cache) throw std::invalid_argument("a session is given twice");
    }
    if (run.count == 0) throw std::invalid_argument("there are no tokens");
    if (run.cache->length + run.count > run.cache->capacity() ||
        run.cache->length + run.count > positions_) {
      throw std::invalid_argument(
          "the KV cache is full: it holds " + std::to_string(run.cache->length) + " of " +
          std::to_string(std::min(run.cache->capacity(), positions_)) + " positions, and " +
          std::to_string(run.count) + " more are asked for");
    }
    for (std::size_t i = 0; i < run.count; ++i) {
      const std::int64_t token = run.tokens[i];
      if (token < 0 || static_cast<std::size_t>(token) >= embedding_.count) {
        throw std::invalid_argument("token " + std::to_string(token) +
                                    " is outside the vocabulary of " +
                                    std::to_string(embedding_.count));
      }
      if (i % span_tokens == 0) {
        spans_.push_back({rows_.size(), std::min(span_tokens, run.count - i)});
      }
      rows_.push_back({run.cache, run.cache->length + i, token});
    }
  }
  one_token_each_ = rows_.size() == runs.size();
  if (rows_.empty()) throw std::invalid_argument("there are no tokens");
  if (rows_.size() > max_rows_) {
    throw std::invalid_argument("a pass takes at most " + std::to_string(max_rows_) + " tokens");
  }
  plan_parts();
}

void Engine::plan_parts() {
  parts_.clear();
  const auto is_long = [](const Row& row) { return row.position >= kPartKeys; };
  if (!one_token_each_ || std::none_of(rows_.begin(), rows_.end(), is_long)) return;
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const std::size_t positions = rows_[row].position + 1;
    for (std::size_t first = 0; first < positions; first += kPartKeys) {
      parts_.push_back({row, first, std::min(kPartKeys, positions - first)});
    }
  }
  const Geometry& g = weights_.geometry();
  const std::size_t results = parts_.size() * g.heads;
  if (results <= part_log_sums_.size()) return;
  part_outs_ = AlignedArray<float>(2 * results * g.head_dim);
  part_log_sums_ = AlignedArray<float>(2 * results);
}

// One forward pass as every worker runs it: phases, each followed by a barrier.
class Engine::Pass {
 public:
  Pass(Engine& engine, float* hidden, const Watch& watch)
      : engine_(engine),
        ops_(engine.ops_),
        decoder_(engine.ops_.decoder),
        weights_(engine.weights_),
        geometry_(engine.weights_.geometry()),
        rows_(engine.rows_),
        count_(engine.rows_.size()),
        key_row_(weights_.key_row()),
        value_row_(weights_.value_row()),
        qkv_width_(value_row_ + round_up(geometry_.key_rows(), kTileRows)),
        hidden_(hidden),
        watch_(watch),
        items_(items_of(engine.pool_.threads(), 3)),
        last_stop_(Clock::now()) {
    if (watch.tap) engine.normed_ = AlignedArray<float>(count_ * weights_.widest_k());
  }

  bool stopped() const { return stopped_; }

  void work(int worker) {
    std::size_t phase = 0;
    if (worker == 0) begin_ = now();
    embed(worker, phase);
    for (std::size_t layer = 0; layer < geometry_.layers; ++layer) {
      attend(worker, phase, layer);
      feed_forward(worker, phase, layer);
      if (stopped_) return;
    }
    finish(worker, phase);
  }

 private:
  // Runs body(items) on every worker, waits for all, and lets worker 0 keep the books.
  template <class Body>
  void run(int worker, std::size_t& phase, Step step, int layer, const Body& body) {
    body(items_[phase % 3]);
    if (worker == 0) {
      // The phase before last is the one that nobody can be in any more.
      items_[(phase + 1) % 3].reset();
      if (layer >= 0) ask_to_stop();
    }
    ++phase;
    engine_.pool_.barrier();
    record(worker, step, layer);
  }

  void record(int worker, Step step, int layer) {
    if (worker != 0 || watch_.events == nullptr) return;
    const std::int64_t end = now();
    watch_.events->push_back({step, layer, begin_, end});
    begin_ = end;
  }

  // Read by the others behind the barrier, at the end of a layer.
  void ask_to_stop() {
    if (!watch_.stop || stop_next_ || Clock::now() - last_stop_ < kStopInterval) return;
    last_stop_ = Clock::now();
    stop_next_ = watch_.stop();
  }

  void tap(int worker, Step step, int layer, const float* data, std::size_t columns,
           const float* scales) {
    if (!watch_.tap) return;
    if (worker == 0) watch_.tap(step, layer, data, count_, columns, scales);
    engine_.pool_.barrier();
    if (worker == 0) begin_ = now();
  }

  void embed(int worker, std::size_t& phase) {
    run(worker, phase, kEmbed, -1, [&](Items& items) {
      for (std::size_t row = items.take(); row < count_; row = items.take()) {
        decoder_.widen[engine_.embedding_.type](
            engine_.embedding_.row(static_cast<std::size_t>(rows_[row].token)), geometry_.hidden,
            engine_.x_.data() + row * geometry_.hidden);
      }
    });
    tap(worker, kEmbed, -1, engine_.x_.data(), geometry_.hidden, nullptr);
  }

  // Norm and quantisation of `from` [rows][n], the input of the next multiplication.
  void norm(int worker, std::size_t& phase, Step step, std::size_t layer, Norm which,
            const float* from, std::size_t n) {
    const int number = static_cast<int>(layer);
    // A model without sub-norms only quantises here.
    const bool present = geometry_.sub_norms || (which != kAttentionNorm && which != kFfnNorm);
    const float* weight = present ? weights_.norm(layer, which) : nullptr;
    QuantisedTokens& quantised = input(worker);
    if (count_ == 1) {
      // Every worker for itself: sooner done than waited for.
      quantised.begin(weights_.code(), 1, n);
      norm_row(worker, 0, weight, from, n);
      record(worker, step, number);
    } else {
      if (worker == 0) quantised.begin(weights_.code(), count_, n);
      engine_.pool_.barrier();
      run(worker, phase, step, number, [&](Items& items) {
        quantised.fill(items,
                       [&](std::size_t row) { norm_row(worker, row, weight, from + row * n, n); });
      });
    }
    tap(worker, step, number, present ? engine_.normed_.data() : from, n, quantised.scales());
  }

  // What the next multiplication multiplies with.
  QuantisedTokens& input(int worker) const {
    return count_ == 1 ? engine_.workers_[static_cast<std::size_t>(worker)].quantised
                       : engine_.quantised_;
  }

  // weight null: no norm.
  void norm_row(int worker, std::size_t row, const float* weight, const float* values,
                std::size_t n) {
    if (weight != nullptr) {
      // Of an only token, all workers have the values that the tap shall see.
      float* const to = watch_.tap && (count_ > 1 || worker == 0)
                            ? engine_.normed_.data() + row * n
                            : engine_.workers_[static_cast<std::size_t>(worker)].normed.data();
      decoder_.rms_norm(values, weight, n, geometry_.rms_norm_eps, to);
      values = to;
    }
    input(worker).quantise(row, values);
  }

  template <class Epilogue>
  void multiply(int worker, std::size_t& phase, Step step, std::size_t layer, Fused fused,
                const Epilogue& epilogue) {
    const TernaryMatrix matrix = weights_.matrix(layer, fused);
    const Multiplication product(ops_, matrix, input(worker));
    run(worker, phase, step, static_cast<int>(layer), [&](Items& items) {
      product.work(worker, items, engine_.workers_[static_cast<std::size_t>(worker)].scratch,
                   epilogue);
    });
  }

  // out[token][row] = or += the dequantised sums of a block.
  template <class Write>
  void dequantise(const Block& block, const float* scales, const float* tile_scales,
                  std::size_t columns, float* out, std::size_t out_stride, const Write& write) {
    const std::size_t first = block.first_tile * kTileRows;
    for (std::size_t t = 0; t < block.tokens; ++t) {
      const std::size_t token = block.first_token + t;
      for (std::size_t tile = 0; tile < block.tiles;) {
        // Neighbours with one scale are written together.
        std::size_t end = tile + 1;
        const float scale = tile_scales[block.first_tile + tile];
        while (end < block.tiles && tile_scales[block.first_tile + end] == scale) ++end;
        const std::size_t row = first + tile * kTileRows;
        const std::size_t n = std::min((end - tile) * kTileRows, columns - row);
        write(block.sums + t * block.stride + tile * kTileRows, n, scale, scales[token],
              out + token * out_stride + row);
        tile = end;
      }
    }
  }

  void attend(int worker, std::size_t& phase, std::size_t layer) {
    const int number = static_cast<int>(layer);
    float* const x = engine_.x_.data();
    float* const qkv = engine_.qkv_.data();
    norm(worker, phase, kInputNormStep, layer, kInputNorm, x, geometry_.hidden);
    multiply(worker, phase, kQkvStep, layer, kQkv, [&](const Block& block) {
      dequantise(block, input(worker).scales(), weights_.tile_scales(layer, kQkv), qkv_width_, qkv,
                 qkv_width_, decoder_.dequantise);
    });
    tap(worker, kQkvStep, number, qkv, qkv_width_, nullptr);

    if (!engine_.parts_.empty()) {
      rotate_all(worker, phase, layer);
      attend_parts(worker, phase, layer);
    } else if (engine_.one_token_each_) {
      rotate_and_attend(worker, phase, layer);
    } else {
      rotate_all(worker, phase, layer);
      attend_all(worker, phase, layer);
    }
    tap(worker, kRopeStep, number, qkv, qkv_width_, nullptr);
    tap(worker, kAttentionStep, number, engine_.mixed_.data(), geometry_.query_rows(), nullptr);

    norm(worker, phase, kAttentionNormStep, layer, kAttentionNorm, engine_.mixed_.data(),
         geometry_.query_rows());
    multiply(worker, phase, kOutputStep, layer, kOutput, [&](const Block& block) {
      dequantise(block, input(worker).scales(), weights_.tile_scales(layer, kOutput),
                 geometry_.hidden, x, geometry_.hidden, decoder_.dequantise_add);
    });
    tap(worker, kOutputStep, number, x, geometry_.hidden, nullptr);
  }

  void rotate_all(int worker, std::size_t& phase, std::size_t layer) {
    run(worker, phase, kRopeStep, static_cast<int>(layer), [&](Items& items) {
      // Keys of neighbouring positions share cache lines (kv_cache.h): one worker writes them.
      const std::size_t groups = (count_ + kBlockKeys - 1) / kBlockKeys;
      const std::size_t count = groups * geometry_.kv_heads;
      for (std::size_t item = items.take(); item < count; item = items.take()) {
        const std::size_t first = item % groups * kBlockKeys;
        for (std::size_t row = first; row < std::min(first + kBlockKeys, count_); ++row) {
          rotate(row, layer, item / groups);
        }
      }
    });
  }

  void attend_all(int worker, std::size_t& phase, std::size_t layer) {
    run(worker, phase, kAttentionStep, static_cast<int>(layer), [&](Items& items) {
      const std::size_t count = engine_.spans_.size() * geometry_.kv_heads;
      for (std::size_t item = items.take(); item < count; item = items.take()) {
        // The last spans see the most keys: they come first, so that the end is even.
        const std::size_t span = engine_.spans_.size() - 1 - item / geometry_.kv_heads;
        attend_span(worker, layer, engine_.spans_[span], item % geometry_.kv_heads);
      }
    });
  }

  // Part by part, whose results are then put together.
  void attend_parts(int worker, std::size_t& phase, std::size_t layer) {
    const std::size_t dim = geometry_.head_dim;
    const std::size_t group = geometry_.heads / geometry_.kv_heads;
    run(worker, phase, kAttentionStep, static_cast<int>(layer), [&](Items& items) {
      const std::size_t count = engine_.parts_.size() * geometry_.kv_heads;
      const auto part_of = [&](std::size_t item) -> const Part& {
        return engine_.parts_[item / geometry_.kv_heads];
      };
      const auto blocks = [&](std::size_t item) {
        const Part& part = part_of(item);
        return rows_[part.row].cache->blocks(layer, item % geometry_.kv_heads, part.first,
                                             part.positions);
      };
      // Neighbours, so that what comes next is known.
      for (auto some = items.take(worker, count, 1); some.first < some.end;
           some = items.take(worker, count, 1)) {
        const std::size_t item = some.first;
        AttendBlocks keys = blocks(item);
        if (item + 1 < count) {
          const AttendBlocks next = blocks(item + 1);
          keys.next_keys = next.keys;
          keys.next_values = next.values;
        }
        attend_keys(worker, keys, {part_of(item).row, 1}, item % geometry_.kv_heads,
                    part_of(item).first, engine_.part_outs_.data() + item * group * dim,
                    engine_.part_log_sums_.data() + item * group);
      }
      engine_.pool_.barrier();
      const std::size_t heads = count_ * geometry_.heads;
      const auto threads = static_cast<std::size_t>(engine_.pool_.threads());
      for (auto i = static_cast<std::size_t>(worker); i < heads; i += threads) {
        merge_parts(i / geometry_.heads, i % geometry_.heads);
      }
    });
  }

  // out = sum of w out_p / sum of w with w = e^(log_sum_p - the largest)
  void merge_parts(std::size_t row, std::size_t head) const {
    const std::size_t dim = geometry_.head_dim;
    const auto begin =
        std::lower_bound(engine_.parts_.begin(), engine_.parts_.end(), row,
                         [](const Part& part, std::size_t wanted) { return part.row < wanted; });
    const auto first = static_cast<std::size_t>(begin - engine_.parts_.begin());
    const std::size_t end = first + (rows_[row].position + kPartKeys) / kPartKeys;
    const auto log_sum = [&](std::size_t part) {
      return engine_.part_log_sums_[part * geometry_.heads + head];
    };
    float top = log_sum(first);
    for (std::size_t part = first; part < end; ++part) top = std::max(top, log_sum(part));
    float* const out = engine_.mixed_.data() + row * geometry_.query_rows() + head * dim;
    std::fill_n(out, dim, 0.0f);
    float total = 0.0f;
    for (std::size_t part = first; part < end; ++part) {
      const float weight = std::exp(log_sum(part) - top);
      const float* from = engine_.part_outs_.data() + (part * geometry_.heads + head) * dim;
      for (std::size_t d = 0; d < dim; ++d) out[d] += weight * from[d];
      total += weight;
    }
    for (std::size_t d = 0; d < dim; ++d) out[d] /= total;
  }

  // No token sees another of this pass, so who rotates a head's query and key attends with them at
  // once: they, and the block of keys that the new one goes to, stay with one worker. The phase's
  // time is RoPE's and attention's as the workers spent it on both.
  void rotate_and_attend(int worker, std::size_t& phase, std::size_t layer) {
    const bool timed = watch_.events != nullptr;
    Worker& own = engine_.workers_[static_cast<std::size_t>(worker)];
    own.rotating = own.attending = 0;
    run(worker, phase, kAttentionStep, static_cast<int>(layer), [&](Items& items) {
      const std::size_t count = count_ * geometry_.kv_heads;
      for (std::size_t item = items.take(); item < count; item = items.take()) {
        const std::size_t row = item / geometry_.kv_heads;
        const std::size_t kv_head = item % geometry_.kv_heads;
        const std::int64_t begin = timed ? now() : 0;
        rotate(row, layer, kv_head);
        const std::int64_t rotated = timed ? now() : 0;
        attend_span(worker, layer, engine_.spans_[row], kv_head);
        own.rotating += rotated - begin;
        own.attending += (timed ? now() : 0) - rotated;
      }
    });
    if (timed && worker == 0) split_attention();
  }

  void split_attention() const {
    double rotating = 0.0;
    double attending = 0.0;
    for (const Worker& each : engine_.workers_) {
      rotating += static_cast<double>(each.rotating);
      attending += static_cast<double>(each.attending);
    }
    Event& attention = watch_.events->back();
    const auto whole = static_cast<double>(attention.end - attention.begin);
    const double share = rotating / std::max(rotating + attending, 1.0);
    const Event rope{kRopeStep, attention.layer, attention.begin,
                     attention.begin + static_cast<std::int64_t>(whole * share)};
    attention.begin = rope.end;
    watch_.events->insert(watch_.events->end() - 1, rope);
  }

  // The query heads that share a KV head, its key, and what the cache keeps of both.
  void rotate(std::size_t row, std::size_t layer, std::size_t kv_head) {
    float* const qkv = engine_.qkv_.data() + row * qkv_width_;
    const std::size_t dim = geometry_.head_dim;
    const std::size_t half = dim / 2;
    const std::size_t group = geometry_.heads / geometry_.kv_heads;
    const Row& it = rows_[row];
    const float* cos = engine_.cos_ + it.position * half;
    const float* sin = engine_.sin_ + it.position * half;
    for (std::size_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      decoder_.rope(qkv + head * dim, cos, sin, half);
    }
    float* key = qkv + key_row_ + kv_head * dim;
    decoder_.rope(key, cos, sin, half);
    it.cache->store(decoder_, layer, kv_head, it.position, key, qkv + value_row_ + kv_head * dim);
  }

  void attend_span(int worker, std::size_t layer, const Span& span, std::size_t kv_head) {
    const std::size_t dim = geometry_.head_dim;
    const std::size_t group = geometry_.heads / geometry_.kv_heads;
    float* const mixed = engine_.workers_[static_cast<std::size_t>(worker)].mixed.data();
    const std::size_t positions = rows_[span.first_row + span.rows - 1].position + 1;
    attend_keys(worker, rows_[span.first_row].cache->blocks(layer, kv_head, 0, positions), span,
                kv_head, 0, mixed, nullptr);
    for (std::size_t t = 0; t < span.rows; ++t) {
      std::copy_n(mixed + t * group * dim, group * dim,
                  engine_.mixed_.data() + (span.first_row + t) * geometry_.query_rows() +
                      kv_head * group * dim);
    }
  }

  // Some rows' heads of one KV head over keys whose first position is `first`: out [row][head][dim]
  // and, when it is not null, log_sums [row][head].
  void attend_keys(int worker, const AttendBlocks& keys, const Span& span, std::size_t kv_head,
                   std::size_t first, float* out, float* log_sums) {
    const std::size_t dim = geometry_.head_dim;
    const std::size_t group = geometry_.heads / geometry_.kv_heads;
    const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
    Worker& own = engine_.workers_[static_cast<std::size_t>(worker)];
    std::size_t visible[kAttendRows];
    for (std::size_t t = 0; t < span.rows; ++t) {
      const std::size_t row = span.first_row + t;
      const float* from = engine_.qkv_.data() + row * qkv_width_ + kv_head * group * dim;
      float* to = own.queries.data() + t * group * dim;
      for (std::size_t i = 0; i < group * dim; ++i) to[i] = from[i] * scale;
      std::fill_n(visible + t * group, group,
                  std::min(rows_[row].position + 1 - first, keys.positions));
    }
    const Cache type = rows_[span.first_row].cache->type();
    decoder_.attend[type](keys, own.queries.data(), span.rows * group, visible,
                          own.attention.data(), out, log_sums);
  }

  void feed_forward(int worker, std::size_t& phase, std::size_t layer) {
    const int number = static_cast<int>(layer);
    const std::size_t ffn = geometry_.ffn;
    float* const x = engine_.x_.data();
    float* const inner = engine_.inner_.data();
    norm(worker, phase, kPostNormStep, layer, kPostNorm, x, geometry_.hidden);
    multiply(worker, phase, kGateUpStep, layer, kGateUp, [&](const Block& block) {
      const float gate_scale = weights_.tile_scales(layer, kGateUp)[0];
      const float* scales = input(worker).scales();
      const std::size_t column = block.first_tile * kGateRows;
      const std::size_t n = std::min(block.tiles * kGateRows, ffn - column);
      for (std::size_t t = 0; t < block.tokens; ++t) {
        const std::size_t token = block.first_token + t;
        decoder_.dequantise_gate_tiles[geometry_.activation](
            block.sums + t * block.stride, n, gate_scale, weights_.up_scale(layer), scales[token],
            inner + token * ffn + column);
      }
    });
    tap(worker, kGateUpStep, number, inner, ffn, nullptr);

    norm(worker, phase, kFfnNormStep, layer, kFfnNorm, inner, ffn);
    multiply(worker, phase, kDownStep, layer, kDown, [&](const Block& block) {
      dequantise(block, input(worker).scales(), weights_.tile_scales(layer, kDown),
                 geometry_.hidden, x, geometry_.hidden, decoder_.dequantise_add);
    });
    if (worker == 0) stopped_ = stop_next_;
    engine_.pool_.barrier();
    tap(worker, kDownStep, number, x, geometry_.hidden, nullptr);
  }

  void finish(int worker, std::size_t& phase) {
    run(worker, phase, kFinalNormStep, -1, [&](Items& items) {
      for (std::size_t row = items.take(); row < count_; row = items.take()) {
        decoder_.rms_norm(engine_.x_.data() + row * geometry_.hidden, weights_.final_norm(),
                          geometry_.hidden, geometry_.rms_norm_eps,
                          hidden_ + row * geometry_.hidden);
      }
    });
  }

  Engine& engine_;
  const Ops& ops_;
  const DecoderOps& decoder_;
  const Weights& weights_;
  const Geometry& geometry_;
  const std::vector<Row>& rows_;
  const std::size_t count_;
  const std::size_t key_row_;
  const std::size_t value_row_;
  const std::size_t qkv_width_;
  float* const hidden_;
  const Watch& watch_;
  std::vector<Items> items_;
  // Where a step begins: at the end of the one before, since another worker may have gone on first.
  std::int64_t begin_ = 0;  // worker 0's
  Clock::time_point last_stop_;
  bool stop_next_ = false;  // worker 0's
  bool stopped_ = false;    // everybody's, changed between two barriers
};

bool Engine::forward(const std::vector<Run>& runs, float* hidden, const Watch& watch) {
  const std::lock_guard<std::mutex> lock(one_pass_);
  plan(runs);
  grow(rows_.size());
  Pass pass(*this, hidden, watch);
  pool_.run([&](int worker) { pass.work(worker); });
  if (pass.stopped()) return false;
  for (const Run& run : runs) run.cache->length += run.count;
  return true;
}

}  // namespace trine
