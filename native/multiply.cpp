#include "multiply.h"

#include <algorithm>
#include <cstring>

namespace trine {
namespace {

// Weights of one item of a GEMV: large enough for streams that are far apart, small enough that a
// worker that is held up leaves its share to the others.
constexpr std::size_t kGemvChunkBytes = std::size_t{512} << 10;

// The activations of one item of a GEMM stay in the L2 cache while tiles pass by.
constexpr std::size_t kGemmBlockBytes = std::size_t{192} << 10;
constexpr std::size_t kGemmChunkTiles = 12;

// Rows of sums that a worker holds: the tokens of a GEMM block, or of a GEMV's chunk of tiles.
constexpr std::size_t kMaxBlockTokens = 192;
constexpr std::size_t kMaxGemvTiles = 256;

std::size_t widest_k(std::size_t k) { return std::max(padded_k(kTwoBit, k), padded_k(kBase3, k)); }

}  // namespace

QuantisedTokens::QuantisedTokens(const Ops& ops, std::size_t capacity, std::size_t k)
    : group_tokens_(static_cast<std::size_t>(ops.ternary.gemm_tokens)),
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
  std::uint8_t* biased = biased_.data() + token * stride_;
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < stride_; ++i) {
    biased[i] = static_cast<std::uint8_t>(q[i] + 128);
    sum += q[i];
  }
  sums_[token] = sum;
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

Scratch::Scratch(const Ops& ops, std::size_t max_k)
    : codes_(static_cast<std::size_t>(ops.ternary.gemm_tiles) * kTileRows * widest_k(max_k)),
      sums_(std::max((kMaxBlockTokens + static_cast<std::size_t>(ops.ternary.gemm_tokens)) *
                         static_cast<std::size_t>(ops.ternary.gemm_tiles) * kTileRows,
                     kGemvTokens * kMaxGemvTiles * kTileRows)) {}

Multiplication::Multiplication(const Ops& ops, const TernaryMatrix& matrix,
                               const QuantisedTokens& tokens, int workers)
    : ops_(ops), matrix_(matrix), tokens_(tokens) {
  if (tokens.uses_gemm()) {
    const auto group = static_cast<std::size_t>(ops.ternary.gemm_tokens);
    const std::size_t group_bytes = group * tokens.steps() * kLaneBytes;
    block_groups_ = std::min({std::max<std::size_t>(kGemmBlockBytes / group_bytes, 1),
                              kMaxBlockTokens / group, tokens.groups()});
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

  for (std::size_t tile = first_tile; tile < end_tile; tile += together) {
    const std::size_t tiles = std::min(together, end_tile - tile);
    for (std::size_t t = 0; t < together; ++t) {
      // Of the last tiles, one may be missing: its place holds the tile before, and is not used.
      const std::size_t source = std::min(tile + t, end_tile - 1);
      ops_.ternary.unpack[matrix_.code](matrix_.data + source * matrix_.tile_bytes(),
                                        matrix_.lines(), scratch.codes_.data() + t * kLineBytes);
    }
    std::fill_n(scratch.sums_.data(), groups * group * width, 0);
    for (std::size_t step = 0; step < tokens_.steps(); step += ops_.ternary.gemm_steps) {
      const std::size_t steps = std::min(ops_.ternary.gemm_steps, tokens_.steps() - step);
      for (std::size_t g = 0; g < groups; ++g) {
        ops_.ternary.gemm(scratch.codes_.data() + step * width * kLaneBytes, steps,
                          tokens_.panel(first_group + g) + step * group * kLaneBytes,
                          scratch.sums_.data() + g * group * width);
      }
    }
    for (std::size_t t = 0; t < tokens; ++t) {
      const std::int32_t sum = tokens_.sums()[first_token + t];
      std::int32_t* row = scratch.sums_.data() + t * width;
      for (std::size_t i = 0; i < width; ++i) row[i] -= sum;
    }
    epilogue({tile, tiles, first_token, tokens, scratch.sums_.data(), width});
  }
}

}  // namespace trine
