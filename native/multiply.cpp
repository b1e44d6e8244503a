#include "multiply.h"

#include <algorithm>
#include <cstring>

namespace trine {
namespace {

// Weights that a worker takes at once in a GEMV, and less towards the end.
constexpr std::size_t kGemvChunkBytes = std::size_t{400} << 10;

// One item of a GEMM goes along K in pieces: a piece of weights is unpacked into the L1 cache for
// all tokens, a piece of all tokens' activations stays in the L2 cache for all tiles, beside the
// sums (264 * 64 or 96 * 4 bytes). 264 are whole groups of 2, 6 and 12 tokens.
constexpr std::size_t kGemmTokens = 264;
constexpr std::size_t kGemmChunkSteps = 3;  // of gemm_tiles each

// Tiles whose sums a worker holds in a GEMV.
constexpr std::size_t kMaxGemvTiles = 256;

std::size_t widest_k(std::size_t k) { return std::max(padded_k(kTwoBit, k), padded_k(kBase3, k)); }

}  // namespace

QuantisedTokens::QuantisedTokens(const Ops& ops, std::size_t capacity, std::size_t k)
    : ops_(&ops),
      group_tokens_(static_cast<std::size_t>(ops.ternary.gemm_tokens)),
      room_tokens_(capacity),
      room_k_(k),
      codes_(capacity * widest_k(k)),
      biased_(capacity * widest_k(k)),
      panels_(round_up(capacity, group_tokens_) * widest_k(k)),
      sums_(round_up(capacity, group_tokens_)),
      scales_(capacity) {}

void QuantisedTokens::reserve(std::size_t tokens, std::size_t k) {
  if (tokens <= room_tokens_ && k <= room_k_) return;
  *this = QuantisedTokens(*ops_, std::max(tokens, room_tokens_), std::max(k, room_k_));
}

void QuantisedTokens::begin(Code code, std::size_t tokens, std::size_t k) {
  code_ = code;
  tokens_ = tokens;
  k_ = k;
  stride_ = padded_k(code, k);
}

void QuantisedTokens::quantise(std::size_t token, const float* values) {
  scales_[token] = ops_->decoder.quantise(values, k_, codes_.data() + token * stride_);
  finish(token);
}

void QuantisedTokens::copy(std::size_t token, const std::int8_t* codes) {
  std::memcpy(codes_.data() + token * stride_, codes, k_);
  finish(token);
}

void QuantisedTokens::finish(std::size_t token) {
  std::int8_t* q = codes_.data() + token * stride_;
  std::memset(q + k_, 0, stride_ - k_);
  sums_[token] = ops_->decoder.bias(q, stride_, biased_.data() + token * stride_);
}

std::size_t QuantisedTokens::groups() const {
  return (tokens_ + group_tokens_ - 1) / group_tokens_;
}

void QuantisedTokens::arrange(std::size_t group) {
  const std::size_t first = group * group_tokens_;
  std::int8_t* panel = panels_.data() + first * stride_;
  for (std::size_t t = 0; t < group_tokens_; ++t) {
    std::int8_t* to = panel + t * kLaneBytes;
    const std::int8_t* from = codes(first + t);
    for (std::size_t step = 0; step < steps(); ++step, to += group_tokens_ * kLaneBytes) {
      if (first + t < tokens_) {
        std::memcpy(to, from + step * kLaneBytes, kLaneBytes);
      } else {
        std::memset(to, 0, kLaneBytes);
      }
    }
  }
}

Activations QuantisedTokens::rows(std::size_t first, int count) const {
  return {codes_.data() + first * stride_, biased_.data() + first * stride_, sums_.data() + first,
          stride_, count};
}

const std::int8_t* QuantisedTokens::panel(std::size_t group) const {
  return panels_.data() + group * group_tokens_ * stride_;
}

Scratch::Scratch(const Ops& ops)
    : codes_(ops.ternary.gemm_steps * static_cast<std::size_t>(ops.ternary.gemm_tiles) *
             kLineBytes),
      sums_(
          std::max(kGemmTokens * kGemmChunkSteps * static_cast<std::size_t>(ops.ternary.gemm_tiles),
                   kMaxGemvTokens * kMaxGemvTiles) *
          kTileRows) {}

Multiplication::Multiplication(const Ops& ops, const TernaryMatrix& matrix,
                               const QuantisedTokens& tokens)
    : ops_(ops), matrix_(matrix), tokens_(tokens) {
  if (!tokens.uses_gemm()) {
    chunk_tiles_ = std::clamp<std::size_t>(kGemvChunkBytes / matrix.tile_bytes(), 1, kMaxGemvTiles);
    return;
  }
  const auto group = static_cast<std::size_t>(ops.ternary.gemm_tokens);
  // Blocks of one size, so that weights are unpacked for as many tokens in each.
  const std::size_t most = kGemmTokens / group;
  const std::size_t blocks = (tokens.groups() + most - 1) / most;
  block_groups_ = (tokens.groups() + blocks - 1) / blocks;
  chunk_tiles_ = kGemmChunkSteps * static_cast<std::size_t>(ops.ternary.gemm_tiles);
  chunks_ = (matrix.tiles + chunk_tiles_ - 1) / chunk_tiles_;
  items_ = chunks_ * ((tokens.groups() + block_groups_ - 1) / block_groups_);
}

void Multiplication::work(int worker, Items& items, Scratch& scratch,
                          const Epilogue& epilogue) const {
  if (tokens_.uses_gemm()) {
    for (std::size_t item = items.take(); item < items_; item = items.take()) {
      gemm(item, scratch, epilogue);
    }
    return;
  }
  gemv(worker, items, scratch, epilogue);
}

void Multiplication::gemv(int worker, Items& items, Scratch& scratch,
                          const Epilogue& epilogue) const {
  const auto most = static_cast<std::size_t>(ops_.ternary.gemv_tokens);
  const auto take = [&] { return items.take(worker, matrix_.tiles, chunk_tiles_); };
  for (Items::Range range = take(); range.first < range.end;) {
    const std::size_t first = range.first;
    const std::size_t tiles = range.end - first;
    const std::size_t stride = tiles * kTileRows;
    // The first group brings the weights to the cache for the others.
    for (std::size_t token = 0; token < tokens_.tokens(); token += most) {
      const std::size_t count = std::min(most, tokens_.tokens() - token);
      ops_.ternary.gemv[matrix_.code](matrix_.data + first * matrix_.tile_bytes(), tiles,
                                      matrix_.lines(), matrix_.row_sums + first * kTileRows,
                                      tokens_.rows(token, static_cast<int>(count)),
                                      scratch.sums_.data(), stride, ops_.ahead);
      // Before the results are written: an atomic operation waits for all stores before it, and
      // these go to lines that the other workers have read.
      if (token + count == tokens_.tokens()) range = take();
      epilogue({first, tiles, token, count, scratch.sums_.data(), stride});
    }
  }
}

void Multiplication::gemm(std::size_t item, Scratch& scratch, const Epilogue& epilogue) const {
  const auto together = static_cast<std::size_t>(ops_.ternary.gemm_tiles);
  const auto group = static_cast<std::size_t>(ops_.ternary.gemm_tokens);
  const std::size_t width = together * kTileRows;

  const std::size_t chunk = item % chunks_;
  const std::size_t first_tile = chunk * chunk_tiles_;
  const std::size_t end_tile = std::min(first_tile + chunk_tiles_, matrix_.tiles);
  const std::size_t first_group = item / chunks_ * block_groups_;
  const std::size_t groups = std::min(block_groups_, tokens_.groups() - first_group);
  const std::size_t first_token = first_group * group;
  const std::size_t tokens = std::min(groups * group, tokens_.tokens() - first_token);

  const std::size_t panel_rows = groups * group;
  const std::size_t line_steps = kLineK[matrix_.code] / kLaneBytes;
  const std::size_t piece = ops_.ternary.gemm_steps / line_steps;
  // Of the last tiles, some may be missing: their place holds the last, and is not used.
  const auto place = [&](std::size_t tile, std::size_t line) {
    return matrix_.data + std::min(tile, end_tile - 1) * matrix_.tile_bytes() + line * kLineBytes;
  };
  for (std::size_t line = 0; line < matrix_.lines(); line += piece) {
    const std::size_t lines = std::min(piece, matrix_.lines() - line);
    std::int32_t* sums = scratch.sums_.data();
    for (std::size_t tile = first_tile; tile < end_tile; tile += together) {
      for (std::size_t t = 0; t < together; ++t) {
        ops_.ternary.unpack[matrix_.code](place(tile + t, line), lines,
                                          scratch.codes_.data() + t * kLineBytes);
      }
      // Pieces are too short for the hardware to see them coming.
      const bool last = tile + together >= end_tile;
      const std::size_t next_tile = last ? first_tile : tile + together;
      const std::size_t next_line = std::min(last ? line + piece : line, matrix_.lines() - 1);
      for (std::size_t g = 0; g < groups; ++g, sums += group * width) {
        for (std::size_t i = g * piece / groups; i < (g + 1) * piece / groups; ++i) {
          for (std::size_t t = 0; t < together; ++t) {
            __builtin_prefetch(place(next_tile + t, next_line + i), 0, 2);
          }
        }
        ops_.ternary.gemm(scratch.codes_.data(), lines * line_steps,
                          tokens_.panel(first_group + g) + line * line_steps * group * kLaneBytes,
                          line == 0 ? tokens_.sums() + first_token + g * group : nullptr, sums);
      }
    }
  }
  std::int32_t* sums = scratch.sums_.data();
  for (std::size_t tile = first_tile; tile < end_tile; tile += together) {
    const std::size_t tiles = std::min(together, end_tile - tile);
    epilogue({tile, tiles, first_token, tokens, sums, width});
    sums += panel_rows * width;
  }
}

}  // namespace trine
