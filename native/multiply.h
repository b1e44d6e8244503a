// A ternary matrix times the quantised activations of some tokens, on the workers of a pool.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "aligned_array.h"
#include "isa/ops.h"
#include "pool.h"
#include "tiles.h"

namespace trine {

// A packed matrix; the bytes belong to somebody else.
struct TernaryMatrix {
  Code code;
  std::size_t k;
  std::size_t tiles;
  const std::uint8_t* data;
  const std::int32_t* row_sums;  // [tiles * kTileRows]

  std::size_t lines() const { return lines_of(code, k); }
  std::size_t tile_bytes() const { return lines() * kLineBytes; }
};

// Int8 activations of up to `capacity` tokens of up to `k` features, in the forms that the kernels
// read. Rows are written by any worker.
class QuantisedTokens {
 public:
  QuantisedTokens(const Ops& ops, std::size_t capacity, std::size_t k);

  // Room for as many at least. What is there is lost when it grows, and stays when memory runs out.
  void reserve(std::size_t tokens, std::size_t k);

  // Declares the shape of what is written next: K as `code` pads it.
  void begin(Code code, std::size_t tokens, std::size_t k);

  // Inside a run, until no item is left: calls row(token), which writes that token, for whole
  // groups of the GEMM, and arranges these. All are written before a multiplication, so a barrier
  // follows.
  template <class Row>
  void fill(Items& items, const Row& row) {
    const std::size_t group = uses_gemm() ? group_tokens_ : 1;
    for (std::size_t g = items.take(); g * group < tokens_; g = items.take()) {
      for (std::size_t t = g * group; t < std::min(tokens_, (g + 1) * group); ++t) row(t);
      if (uses_gemm()) arrange(g);
    }
  }

  // Writes one token of float32 [k], and its scale.
  void quantise(std::size_t token, const float* values);
  // The same of codes [k], without a scale.
  void copy(std::size_t token, const std::int8_t* codes);

  const std::int8_t* codes(std::size_t token) const { return codes_.data() + token * stride_; }
  std::size_t tokens() const { return tokens_; }
  const float* scales() const { return scales_.data(); }

  // Whether these tokens go through the GEMM, and then its groups of tokens.
  bool uses_gemm() const { return tokens_ > ops_->ternary.gemv_most[code_]; }
  std::size_t groups() const;

  Activations rows(std::size_t first, int count) const;
  const std::int8_t* panel(std::size_t group) const;
  const std::int32_t* sums() const { return sums_.data(); }
  std::size_t steps() const { return stride_ / kLaneBytes; }

 private:
  // After a token's codes were written: padding, biased form and sum.
  void finish(std::size_t token);
  // Copies the rows of one group into its panel.
  void arrange(std::size_t group);

  const Ops* ops_;
  std::size_t group_tokens_;
  std::size_t room_tokens_;
  std::size_t room_k_;
  Code code_ = kTwoBit;
  std::size_t k_ = 0;
  std::size_t stride_ = 0;
  std::size_t tokens_ = 0;
  AlignedArray<std::int8_t> codes_;
  AlignedArray<std::uint8_t> biased_;
  AlignedArray<std::int8_t> panels_;
  AlignedArray<std::int32_t> sums_;
  AlignedArray<float> scales_;
};

// Receives exact dot products: sums[t * stride + r] of token first_token + t, row
// kTileRows * first_tile + r, for `tokens` tokens and `tiles` tiles. Called by several workers at
// once, for different rows or tokens.
struct Block {
  std::size_t first_tile;
  std::size_t tiles;
  std::size_t first_token;
  std::size_t tokens;
  const std::int32_t* sums;
  std::size_t stride;
};
using Epilogue = std::function<void(const Block&)>;

// Memory of one worker for multiplications.
class Scratch {
 public:
  explicit Scratch(const Ops& ops);

 private:
  friend class Multiplication;
  AlignedArray<std::uint8_t> codes_;
  AlignedArray<std::int32_t> sums_;
};

// One product, worked on by every worker of a pool inside a run.
class Multiplication {
 public:
  Multiplication(const Ops& ops, const TernaryMatrix& matrix, const QuantisedTokens& tokens);

  // Takes items until none is left.
  void work(int worker, Items& items, Scratch& scratch, const Epilogue& epilogue) const;

 private:
  void gemv(int worker, Items& items, Scratch& scratch, const Epilogue& epilogue) const;
  void gemm(std::size_t item, Scratch& scratch, const Epilogue& epilogue) const;

  const Ops& ops_;
  const TernaryMatrix& matrix_;
  const QuantisedTokens& tokens_;
  std::size_t chunk_tiles_;
  // Of a GEMM.
  std::size_t chunks_ = 0;
  std::size_t block_groups_ = 0;
  std::size_t items_ = 0;
};

}  // namespace trine
