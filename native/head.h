// The lm_head: hidden states to logits, over float rows, int8 rows, or a screened selection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "aligned_array.h"
#include "engine.h"
#include "huge_buffer.h"
#include "isa/ops.h"
#include "multiply.h"
#include "pool.h"

namespace trine {

// Rows as the checkpoint has them, mapped: nothing is lost, nothing is copied.
class FloatHead {
 public:
  FloatHead(const Ops& ops, Pool& pool, const Table& rows);

  // logits[token][row] for hidden [tokens][columns].
  void logits(const float* hidden, std::size_t tokens, float* logits) const;

  const Table& rows() const { return rows_; }
  float row_logit(std::size_t row, const float* hidden) const;
  // Asks for a row that is needed soon.
  void fetch(std::size_t row) const;

 private:
  const Ops& ops_;
  Pool& pool_;
  Table rows_;
};

// A byte per weight and a scale per row (absmax). The hidden state is quantised to as many bits as
// int32 sums allow, 13 for 2,560 columns, so that its error is far below the rows'.
class Int8Head {
 public:
  // Throws std::bad_alloc.
  Int8Head(const Ops& ops, Pool& pool, const Table& rows);

  void logits(const float* hidden, std::size_t tokens, float* logits) const;
  std::size_t bytes() const { return count_ * (columns_ + sizeof(float)); }
  std::size_t count() const { return count_; }
  std::size_t columns() const { return columns_; }

 private:
  // Codes of one of `tokens` tokens to where it begins in their states; returns a code's unit.
  float quantise(const float* hidden, std::size_t tokens, std::int16_t* states) const;

  const Ops& ops_;
  Pool& pool_;
  std::size_t count_;
  std::size_t columns_;
  HugeBuffer rows_;
  std::vector<float> scales_;
};

// The best rows of one token with their exact logits.
struct Selection {
  std::vector<std::int64_t> rows;  // each once
  std::vector<float> logits;
  bool certified;       // no other row's exact logit can reach the largest one here
  std::size_t widened;  // rows rescored beyond those asked for, to be certified
};

// A ternary copy of all rows is multiplied in full, as a BitLinear is; the rows with the best
// scores are rescored with the exact rows. The ternary copy of row w is a t with the least squared
// error, so its score differs from the exact logit by at most
//
//   |w h - a t q / s| <= |w - a t| |h| + a |t| |h - q / s|        (Cauchy and Schwarz, norms in L2)
//
// which the certificate is made of.
class ScreenedHead {
 public:
  // Throws std::bad_alloc.
  ScreenedHead(const Ops& ops, Pool& pool, const Table& rows, Code code);

  // The `keep` rows with the best scores, and the others whose score is not far below the best
  // exact logit among these. With `exact`, as many more as it takes to be certain that the row with
  // the largest exact logit is among them.
  Selection select(const float* hidden, std::size_t keep, bool exact);

  // Scores of all rows [count], for measurements.
  void scores(const float* hidden, float* scores);
  // Those of the last scan, that of `select` too.
  const float* last_scores() const { return scores_.data(); }

  // Of the scan.
  std::size_t bytes() const;
  std::size_t count() const { return exact_.rows().count; }
  std::size_t columns() const { return matrix_.k; }

 private:
  // Fills scores_, returns |h - q / s|.
  float scan(const float* hidden);
  template <class Body>
  void for_parts(const Body& body) const;
  float threshold(std::size_t keep) const;
  // Rows that are wanted, ascending; a worker looks no further in its part once it has `most`.
  template <class Wanted>
  std::vector<std::int64_t> rows_where(const Wanted& wanted, std::size_t most) const;
  float upper_bound(std::size_t row, float hidden_norm, float error_norm) const;
  void rescore(const float* hidden, Selection& selection) const;

  const Ops& ops_;
  Pool& pool_;
  FloatHead exact_;
  TernaryMatrix matrix_;
  HugeBuffer packed_;
  AlignedArray<std::int32_t> row_sums_;
  AlignedArray<float> scales_;
  AlignedArray<float> residual_norms_;  // |w - a t|
  AlignedArray<float> ternary_norms_;   // a |t|
  AlignedArray<float> scores_;
  QuantisedTokens quantised_;
  std::vector<Scratch> scratch_;
};

}  // namespace trine
