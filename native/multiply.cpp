#include "multiply.h"

#include <algorithm>
#include <cstring>

namespace trine {
namespace {

// Weights of one item of a GEMV: large enough for streams that are far apart, small enough that a
// worker that is held up leaves its share to the others.
constexpr std::size_t kGemvChunkBytes = std::size_t{512} << 10;

// One item of a GEMM goes along K in pieces: a piece of weights is unpacked into the L1 cache for
// all tokens, a piece of all tokens' activations stays in the L2 cache for all tiles, beside the
// sums (256 * 192 * 4 bytes).
constexpr std::size_t kGemmTokens = 256;
constexpr std::size_t kGemmChunkTiles = 6;

// Tiles whose sums a worker holds in a GEMV.
constexpr std::size_t kMaxGemvTiles = 256;

std::size_t widest_k(std::size_t k) { return std::max(padded_k(kTwoBit, k), padded_k(kBase3, k)); }

}  // namespace

QuantisedTokens::QuantisedTokens(const Ops& ops, std::size_t capacity, std::size_t k)
    : ops_(&ops),
      group_tokens_(static_cast<std::size_t>(ops.ternary.gemm_tokens)),
      codes_(capacity * widest_k(k)),
      biased_(capacity * widest_k(k)),
      panels_(round_up(capacity, group_tokens_) * widest_k(k)),
      sums_(capacity),
      scales_(capacity) {}

void QuantisedTokens::begin(Code code, std::size_t tokens, std::size_t k) {
  tokens_ = tokens;
  k_ = k;
  stride_ = padded_k(code, k);
}

void QuantisedTokens::finish(std::size_t token) {
  std::int8_t* q = codes(token);
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
      sums_(std::max(kGemmTokens * round_up(kGemmChunkTiles,
                                            static_cast<std::size_t>(ops.ternary.gemm_tiles)),
                     kGemvTokens * kMaxGemvTiles) *
            kTileRows) {}

Multiplication::Multiplication(const Ops& ops, const TernaryMatrix& matrix,
                               const QuantisedTokens& tokens, int workers)
    : ops_(ops), matrix_(matrix), tokens_(tokens) {
  if (tokens.uses_gemm()) {
    const auto group = static_cast<std::size_t>(ops.ternary.gemm_tokens);
    block_groups_ = std::min(kGemmTokens / group, tokens.groups());
    chunk_tiles_ = kGemmChunkTiles;
  } else {
    block_groups_ = 1;
    // As many chunks for each worker, all of about one size.
    const auto everybody = static_cast<std::size_t>(workers);
    const std::size_t bytes = matrix.tiles * matrix.tile_bytes();
    const std::size_t chunks = round_up(bytes / kGemvChunkBytes + 1, everybody);
    chunk_tiles_ = std::min((matrix.tiles + chunks - 1) / chunks, kMaxGemvTiles);
  }
  chunks_ = (matrix.tiles + chunk_tiles_ - 1) / chunk_tiles_;
  const std::size_t blocks =
      tokens.uses_gemm() ? (tokens.groups() + block_groups_ - 1) / block_groups_ : 1;
  items_ = chunks_ * blocks;
}

void Multiplication::work(Items& items, Scratch& scratch, const Epilogue& epilogue) const {
  for (std::size_t item = items.take(); item < items_; item = items.take()) {
    if (tokens_.uses_gemm()) {
      gemm(item, scratch, epilogue);
    } else {
      gemv(item, scratch, epilogue);
    }
  }
}

void Multiplication::gemv(std::size_t item, Scratch& scratch, const Epilogue& epilogue) const {
  const std::size_t first = item * chunk_tiles_;
  const std::size_t tiles = std::min(chunk_tiles_, matrix_.tiles - first);
  const std::size_t stride = tiles * kTileRows;
  ops_.ternary.gemv[matrix_.code](matrix_.data + first * matrix_.tile_bytes(), tiles,
                                  matrix_.lines(), matrix_.row_sums + first * kTileRows,
                                  tokens_.rows(0, static_cast<int>(tokens_.tokens())),
                                  scratch.sums_.data(), stride);
  epilogue({first, tiles, 0, tokens_.tokens(), scratch.sums_.data(), stride});
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
  std::fill_n(scratch.sums_.data(),
              panel_rows * round_up(end_tile - first_tile, together) * kTileRows, 0);
  const std::size_t line_steps = kLineK[matrix_.code] / kLaneBytes;
  const std::size_t piece = ops_.ternary.gemm_steps / line_steps;
  for (std::size_t line = 0; line < matrix_.lines(); line += piece) {
    const std::size_t lines = std::min(piece, matrix_.lines() - line);
    std::int32_t* sums = scratch.sums_.data();
    for (std::size_t tile = first_tile; tile < end_tile; tile += together) {
      for (std::size_t t = 0; t < together; ++t) {
        // Of the last tiles, some may be missing: their place holds the last, and is not used.
        const std::size_t source = std::min(tile + t, end_tile - 1);
        ops_.ternary.unpack[matrix_.code](
            matrix_.data + source * matrix_.tile_bytes() + line * kLineBytes, lines,
            scratch.codes_.data() + t * kLineBytes);
      }
      for (std::size_t g = 0; g < groups; ++g, sums += group * width) {
        ops_.ternary.gemm(scratch.codes_.data(), lines * line_steps,
                          tokens_.panel(first_group + g) + line * line_steps * group * kLaneBytes,
                          sums);
      }
    }
  }
  std::int32_t* sums = scratch.sums_.data();
  for (std::size_t tile = first_tile; tile < end_tile; tile += together) {
    const std::size_t tiles = std::min(together, end_tile - tile);
    for (std::size_t t = 0; t < tokens; ++t) {
      const std::int32_t sum = tokens_.sums()[first_token + t];
      for (std::size_t i = 0; i < width; ++i) sums[t * width + i] -= sum;
    }
    epilogue({tile, tiles, first_token, tokens, sums, width});
    sums += panel_rows * width;
  }
}

}  // namespace trine
