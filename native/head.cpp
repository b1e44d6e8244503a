#include "head.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace trine {
namespace {

// How many standard deviations below the best logit a row's score may be and still be rescored. The
// residual of a row and a hidden state that know nothing of each other have a product of mean zero
// and deviation |w - a t| |h| / sqrt(n); five of them are passed once in three million rows.
constexpr float kSpread = 5.0f;

// Rows of one item: some hundred KiB, which a worker streams in three or four parts at once.
constexpr std::size_t kItemRows = 84;

// Every worker takes items of rows until none is left.
template <class Body>
void for_rows(Pool& pool, std::size_t count, std::size_t item_rows, const Body& body) {
  Items items(pool.threads());
  const std::size_t all = (count + item_rows - 1) / item_rows;
  pool.run([&](int worker) {
    for (Items::Range some = items.take(worker, all, 1); some.first < some.end;
         some = items.take(worker, all, 1)) {
      body(worker, some.first * item_rows, std::min(count, some.end * item_rows));
    }
  });
}

float largest_magnitude(const float* values, std::size_t n) {
  float top = 0.0f;
  for (std::size_t i = 0; i < n; ++i) top = std::max(top, std::fabs(values[i]));
  return top;
}

double norm_of(const float* values, std::size_t n) {
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(values[i]) * values[i];
  return std::sqrt(sum);
}

// A ternary approximation a t of one row.
struct Ternary {
  float scale;
  float residual_norm;
  float norm;  // a |t|
};

// t = sign(w) where |w| is above 0.7 mean|w|, which is close to the least squared error for normal
// and uniform weights (Li et al., arXiv 1605.04711); a is then the least squares' own.
Ternary ternarise(const float* row, std::size_t n, std::uint8_t* codes) {
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += std::fabs(row[i]);
  const auto limit = static_cast<float>(0.7 * sum / static_cast<double>(n));
  double kept = 0.0;
  double squares = 0.0;
  std::size_t nonzero = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const bool one = std::fabs(row[i]) > limit;
    codes[i] = static_cast<std::uint8_t>(!one ? 1 : row[i] > 0.0f ? 2 : 0);
    kept += one ? std::fabs(row[i]) : 0.0;
    squares += static_cast<double>(row[i]) * row[i];
    nonzero += one;
  }
  if (nonzero == 0) return {0.0f, static_cast<float>(std::sqrt(squares)), 0.0f};
  const double scale = kept / static_cast<double>(nonzero);
  // |w - a t|^2 = |w|^2 - a^2 |t|^2 for this a; rounded up, since it is a bound.
  const double residual = std::max(squares - scale * kept, 0.0) + 1e-7 * squares;
  return {static_cast<float>(scale), static_cast<float>(std::sqrt(residual)),
          static_cast<float>(scale * std::sqrt(static_cast<double>(nonzero)))};
}

}  // namespace

FloatHead::FloatHead(const Ops& ops, Pool& pool, const Table& rows)
    : ops_(ops), pool_(pool), rows_(rows) {}

float FloatHead::row_logit(std::size_t row, const float* hidden) const {
  return ops_.decoder.dot_float[rows_.type](rows_.row(row), hidden, rows_.columns);
}

void FloatHead::fetch(std::size_t row) const {
  const auto* at = static_cast<const std::uint8_t*>(rows_.row(row));
  const std::size_t bytes = rows_.columns * kFloatBytes[rows_.type];
  for (std::size_t i = 0; i < bytes; i += kLineBytes) __builtin_prefetch(at + i);
}

void FloatHead::logits(const float* hidden, std::size_t tokens, float* logits) const {
  for_rows(pool_, rows_.count, kItemRows, [&](int, std::size_t first, std::size_t end) {
    for (std::size_t row = first; row < end; ++row) {
      for (std::size_t t = 0; t < tokens; ++t) {
        logits[t * rows_.count + row] = row_logit(row, hidden + t * rows_.columns);
      }
    }
  });
}

Int8Head::Int8Head(const Ops& ops, Pool& pool, const Table& rows)
    : ops_(ops),
      pool_(pool),
      count_(rows.count),
      columns_(rows.columns),
      rows_(rows.count * rows.columns + 65536),
      scales_(rows.count) {
  std::vector<std::vector<float>> wide(static_cast<std::size_t>(pool.threads()),
                                       std::vector<float>(columns_));
  for_rows(pool, count_, kItemRows, [&](int worker, std::size_t first, std::size_t end) {
    float* row = wide[static_cast<std::size_t>(worker)].data();
    for (std::size_t r = first; r < end; ++r) {
      ops.decoder.widen[rows.type](rows.row(r), columns_, row);
      // The activations' quantiser is the rows' too: absmax over a vector.
      auto* codes = reinterpret_cast<std::int8_t*>(rows_.data() + r * columns_);
      scales_[r] = 1.0f / ops.decoder.quantise(row, columns_, codes);
    }
  });
}

float Int8Head::quantise(const float* hidden, std::size_t tokens, std::int16_t* states) const {
  const double top_code =
      std::min(32767.0, std::floor(2147483647.0 / (127.0 * static_cast<double>(columns_))));
  const double top = largest_magnitude(hidden, columns_);
  const double scale = top > 0.0 ? top_code / top : 0.0;
  double total = 0.0;
  for (std::size_t i = 0; i < columns_; ++i) {
    const double code = std::nearbyint(hidden[i] * scale);
    states[i / kStateBlock * tokens * kStateBlock + i % kStateBlock] =
        static_cast<std::int16_t>(code == code ? code : 0.0);
    total += hidden[i];
  }
  return std::isfinite(total) ? static_cast<float>(top / top_code)
                              : std::numeric_limits<float>::quiet_NaN();
}

void Int8Head::logits(const float* hidden, std::size_t tokens, float* logits) const {
  // Groups of tokens, each with its states [block][token][kStateBlock].
  const std::size_t most = ops_.decoder.head_tokens;
  const std::size_t padded = round_up(columns_, kStateBlock);
  AlignedArray<std::int16_t> states(tokens * padded);
  std::fill_n(states.data(), tokens * padded, std::int16_t{0});
  std::vector<float> units(tokens);
  for (std::size_t t = 0; t < tokens; ++t) {
    const std::size_t first = t / most * most;
    units[t] = quantise(hidden + t * columns_, std::min(most, tokens - first),
                        states.data() + first * padded + (t - first) * kStateBlock);
  }
  const auto* weights = reinterpret_cast<const std::int8_t*>(rows_.data());
  for_rows(pool_, count_, kItemRows, [&](int, std::size_t first, std::size_t end) {
    for (std::size_t token = 0; token < tokens; token += most) {
      const std::size_t some = std::min(most, tokens - token);
      std::int32_t sums[kMostHeadTokens * kItemRows];
      ops_.decoder.dot_rows(weights + first * columns_, end - first, columns_,
                            states.data() + token * padded, some, sums, kItemRows, ops_.ahead);
      for (std::size_t t = 0; t < some; ++t) {
        float* const out = logits + (token + t) * count_;
        for (std::size_t row = first; row < end; ++row) {
          out[row] = static_cast<float>(sums[t * kItemRows + row - first]) * scales_[row] *
                     units[token + t];
        }
      }
    }
  });
}

ScreenedHead::ScreenedHead(const Ops& ops, Pool& pool, const Table& rows, Code code)
    : ops_(ops),
      pool_(pool),
      exact_(ops, pool, rows),
      matrix_{code, rows.columns, (rows.count + kTileRows - 1) / kTileRows, nullptr, nullptr},
      packed_(matrix_.tiles * matrix_.tile_bytes() + 65536),
      row_sums_(matrix_.tiles * kTileRows),
      scales_(matrix_.tiles * kTileRows),
      residual_norms_(matrix_.tiles * kTileRows),
      ternary_norms_(matrix_.tiles * kTileRows),
      scores_(matrix_.tiles * kTileRows),
      quantised_(ops, 1, rows.columns) {
  matrix_.data = packed_.data();
  matrix_.row_sums = row_sums_.data();
  for (int worker = 0; worker < pool.threads(); ++worker) scratch_.emplace_back(ops);
  const std::size_t n = rows.columns;
  const auto threads = static_cast<std::size_t>(pool.threads());
  std::vector<std::vector<float>> wide(threads, std::vector<float>(n));
  std::vector<std::vector<std::uint8_t>> codes(threads, std::vector<std::uint8_t>(n));
  for_rows(pool, matrix_.tiles * kTileRows, kTileRows,
           [&](int worker, std::size_t first, std::size_t end) {
             float* row = wide[static_cast<std::size_t>(worker)].data();
             std::uint8_t* trits = codes[static_cast<std::size_t>(worker)].data();
             for (std::size_t r = first; r < end; ++r) {
               std::fill_n(row, n, 0.0f);
               if (r < rows.count) ops.decoder.widen[rows.type](rows.row(r), n, row);
               const Ternary fit = ternarise(row, n, trits);
               scales_[r] = fit.scale;
               residual_norms_[r] = fit.residual_norm;
               ternary_norms_[r] = fit.norm;
               pack_codes(code, trits, n,
                          packed_.data() + first / kTileRows * matrix_.tile_bytes() +
                              (r - first) * kLaneBytes,
                          row_sums_.data() + r);
             }
           });
}

std::size_t ScreenedHead::bytes() const {
  return matrix_.tiles *
         (matrix_.tile_bytes() + kTileRows * (sizeof(float) + sizeof(std::int32_t)));
}

float ScreenedHead::scan(const float* hidden) {
  const std::size_t n = matrix_.k;
  quantised_.begin(matrix_.code, 1, n);
  quantised_.quantise(0, hidden);
  const float s = quantised_.scales()[0];
  const Multiplication product(ops_, matrix_, quantised_);
  Items items(pool_.threads());
  pool_.run([&](int worker) {
    product.work(
        worker, items, scratch_[static_cast<std::size_t>(worker)], [&](const Block& block) {
          const std::size_t first = block.first_tile * kTileRows;
          for (std::size_t i = 0; i < block.tiles * kTileRows; ++i) {
            scores_[first + i] = static_cast<float>(block.sums[i]) * scales_[first + i] / s;
          }
        });
  });
  double error = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double difference = hidden[i] - static_cast<double>(quantised_.codes(0)[i]) / s;
    error += difference * difference;
  }
  return static_cast<float>(std::sqrt(error));
}

// Every worker looks at its own part of the scores.
template <class Body>
void ScreenedHead::for_parts(const Body& body) const {
  const std::size_t count = exact_.rows().count;
  const auto threads = static_cast<std::size_t>(pool_.threads());
  pool_.run([&](int worker) {
    const auto part = static_cast<std::size_t>(worker);
    body(part, count * part / threads, count * (part + 1) / threads);
  });
}

// A score that about `keep` rows reach, at least `keep` where there are as many: found in a
// histogram, since an exact selection among all rows takes longer than the scan.
float ScreenedHead::threshold(std::size_t keep) const {
  constexpr std::size_t kBins = 8192;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto threads = static_cast<std::size_t>(pool_.threads());
  std::vector<std::pair<float, float>> extremes(threads);
  for_parts([&](std::size_t part, std::size_t first, std::size_t end) {
    // As many lanes as make vectors; the comparisons pass over NaN.
    constexpr std::size_t kLanes = 16;
    float low[kLanes];
    float high[kLanes];
    std::fill_n(low, kLanes, kInfinity);
    std::fill_n(high, kLanes, -kInfinity);
    for (std::size_t i = first; i + kLanes <= end; i += kLanes) {
      for (std::size_t j = 0; j < kLanes; ++j) {
        const float score = scores_[i + j];
        low[j] = score < low[j] ? score : low[j];
        high[j] = score > high[j] ? score : high[j];
      }
    }
    for (std::size_t i = end - (end - first) % kLanes; i < end; ++i) {
      low[0] = std::min(low[0], scores_[i]);
      high[0] = std::max(high[0], scores_[i]);
    }
    extremes[part] = {*std::min_element(low, low + kLanes), *std::max_element(high, high + kLanes)};
  });
  float low = kInfinity;
  float high = -kInfinity;
  for (const auto& [lowest, highest] : extremes) {
    low = std::min(low, lowest);
    high = std::max(high, highest);
  }
  const float bins_per_unit = static_cast<float>(kBins - 1) / (high - low);
  // Scores that are equal, overflow or are no numbers have no histogram: all rows are kept.
  if (!(bins_per_unit > 0.0f && std::isfinite(bins_per_unit))) return -kInfinity;
  std::vector<std::uint32_t> histograms(threads * kBins, 0);
  for_parts([&](std::size_t part, std::size_t first, std::size_t end) {
    std::uint32_t* histogram = histograms.data() + part * kBins;
    for (std::size_t i = first; i < end; ++i) {
      const float place = (scores_[i] - low) * bins_per_unit;
      ++histogram[place > 0.0f ? static_cast<std::size_t>(place) : 0];
    }
  });
  std::size_t seen = 0;
  std::size_t bin = kBins;
  while (bin > 0 && seen < keep) {
    --bin;
    for (std::size_t part = 0; part < threads; ++part) seen += histograms[part * kBins + bin];
  }
  // One bin lower, so that rounding in the bin's edge loses nobody.
  return bin == 0 ? -kInfinity : low + (static_cast<float>(bin) - 0.01f) / bins_per_unit;
}

template <class Wanted>
std::vector<std::int64_t> ScreenedHead::rows_where(const Wanted& wanted, std::size_t most) const {
  constexpr std::size_t kBlock = 64;
  std::vector<std::vector<std::int64_t>> parts(static_cast<std::size_t>(pool_.threads()));
  for_parts([&](std::size_t part, std::size_t first, std::size_t end) {
    for (std::size_t from = first; from < end && parts[part].size() < most; from += kBlock) {
      const std::size_t to = std::min(end, from + kBlock);
      // Few blocks have a wanted row, and this loop becomes vectors.
      int any = 0;
      for (std::size_t row = from; row < to; ++row) any |= wanted(row);
      for (std::size_t row = from; any != 0 && row < to; ++row) {
        if (wanted(row)) parts[part].push_back(static_cast<std::int64_t>(row));
      }
    }
  });
  std::vector<std::int64_t> rows;
  for (const auto& part : parts) rows.insert(rows.end(), part.begin(), part.end());
  return rows;
}

float ScreenedHead::upper_bound(std::size_t row, float hidden_norm, float error_norm) const {
  return scores_[row] + residual_norms_[row] * hidden_norm + ternary_norms_[row] * error_norm;
}

void ScreenedHead::rescore(const float* hidden, Selection& selection) const {
  const std::size_t done = selection.logits.size();
  selection.logits.resize(selection.rows.size());
  for_rows(pool_, selection.rows.size() - done, 32, [&](int, std::size_t first, std::size_t end) {
    for (std::size_t i = done + first; i < done + end; ++i) {
      // Rows lie anywhere: the next one comes to the cache while this one is multiplied.
      if (i + 1 < done + end) exact_.fetch(static_cast<std::size_t>(selection.rows[i + 1]));
      selection.logits[i] = exact_.row_logit(static_cast<std::size_t>(selection.rows[i]), hidden);
    }
  });
}

Selection ScreenedHead::select(const float* hidden, std::size_t keep, bool exact) {
  // The bounds are sums of rounded terms; this covers their rounding and the exact logits'.
  constexpr float kSlack = 1.0f + 1e-5f;
  constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
  const float error_norm = scan(hidden) * kSlack;
  const auto hidden_norm = static_cast<float>(norm_of(hidden, matrix_.k)) * kSlack;
  Selection selection{{}, {}, true, 0};
  const auto add = [&](const std::vector<std::int64_t>& rows) {
    selection.rows.insert(selection.rows.end(), rows.begin(), rows.end());
    rescore(hidden, selection);
    return *std::max_element(selection.logits.begin(), selection.logits.end());
  };

  // A first estimate of the best logit, then all rows that may well reach it. Conditions without
  // branches, for rows_where.
  const float enough = threshold(keep);
  const auto kept = [&](std::size_t row) { return !(scores_[row] < enough); };
  const float first_best = add(rows_where(kept, kAll));
  const float spread = kSpread * hidden_norm / std::sqrt(static_cast<float>(matrix_.k));
  const auto likely = [&](std::size_t row) {
    return !kept(row) & !(scores_[row] + spread * residual_norms_[row] < first_best);
  };
  const float best = add(rows_where(likely, kAll));
  const auto possible = [&](std::size_t row) {
    return !kept(row) & !likely(row) & !(upper_bound(row, hidden_norm, error_norm) < best);
  };
  const std::vector<std::int64_t> rest = rows_where(possible, exact ? kAll : 1);
  if (!exact) {
    selection.certified = rest.empty();
    return selection;
  }
  selection.widened = rest.size();
  add(rest);
  return selection;
}

void ScreenedHead::scores(const float* hidden, float* scores) {
  scan(hidden);
  std::copy_n(scores_.data(), exact_.rows().count, scores);
}

}  // namespace trine
