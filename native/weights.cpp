#include "weights.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

#include "tiles.h"

namespace trine {
namespace {

constexpr Fused kFusedOf[kLinears] = {kQkv, kQkv, kQkv, kOutput, kGateUp, kGateUp, kDown};

void check_geometry(const Geometry& g) {
  const std::size_t sizes[] = {g.vocabulary, g.hidden, g.ffn, g.heads, g.kv_heads, g.head_dim};
  for (std::size_t size : sizes) {
    if (size == 0) throw std::invalid_argument("every size of the geometry must be positive");
  }
  if (g.heads % g.kv_heads != 0 || g.heads / g.kv_heads > kAttendRows) {
    throw std::invalid_argument("heads must be a multiple of KV heads, and at most " +
                                std::to_string(kAttendRows) + " heads may share one");
  }
  if (g.head_dim % 2 != 0) throw std::invalid_argument("the head dimension must be even");
  if (std::max({g.hidden, g.ffn, g.query_rows()}) > kMaxK) {
    throw std::invalid_argument("a matrix has more than " + std::to_string(kMaxK) +
                                " columns, which int32 sums do not allow");
  }
}

std::size_t body_size(const Geometry& g, Code code) {
  const auto tiles = [](std::size_t rows) { return (rows + kTileRows - 1) / kTileRows; };
  const auto tile_bytes = [&](std::size_t k) { return lines_of(code, k) * kLineBytes; };
  const std::size_t layer =
      (tiles(g.query_rows()) + 2 * tiles(g.key_rows()) + (g.ffn + kGateRows - 1) / kGateRows) *
          tile_bytes(g.hidden) +
      tiles(g.hidden) * (tile_bytes(g.query_rows()) + tile_bytes(g.ffn));
  return g.layers * layer;
}

}  // namespace

Weights::Weights(const Geometry& geometry, Code code)
    : geometry_((check_geometry(geometry), geometry)),
      code_(code),
      body_bytes_(body_size(geometry, code)),
      // Prefetches run past the end of the last tile; they never fault, but the memory is there.
      body_(body_bytes_ + 65536),
      layers_(geometry.layers) {
  std::size_t offset = 0;
  for (Layer& layer : layers_) {
    for (int f = 0; f < kFused; ++f) {
      const auto fused = static_cast<Fused>(f);
      layer.offset[f] = offset;
      layer.row_sums[f] = AlignedArray<std::int32_t>(tiles(fused) * kTileRows);
      layer.scales[f].resize(tiles(fused));
      offset += tiles(fused) * lines_of(code_, k_of(fused)) * kLineBytes;
    }
  }
}

std::size_t Weights::tiles(Fused fused) const {
  const auto whole = [](std::size_t rows) { return (rows + kTileRows - 1) / kTileRows; };
  switch (fused) {
    case kQkv:
      return whole(geometry_.query_rows()) + 2 * whole(geometry_.key_rows());
    case kGateUp:
      return (geometry_.ffn + kGateRows - 1) / kGateRows;
    default:
      return whole(geometry_.hidden);
  }
}

std::size_t Weights::k_of(Fused fused) const {
  if (fused == kOutput) return geometry_.query_rows();
  return fused == kDown ? geometry_.ffn : geometry_.hidden;
}

std::size_t Weights::rows_of(Linear linear) const {
  switch (linear) {
    case kQ:
      return geometry_.query_rows();
    case kK:
    case kV:
      return geometry_.key_rows();
    case kGate:
    case kUp:
      return geometry_.ffn;
    default:
      return geometry_.hidden;
  }
}

std::size_t Weights::widest_k() const {
  return std::max({geometry_.hidden, geometry_.ffn, geometry_.query_rows()});
}

TernaryMatrix Weights::matrix(std::size_t layer, Fused fused) const {
  const Layer& it = layers_[layer];
  return {code_, k_of(fused), tiles(fused), body_.data() + it.offset[fused],
          it.row_sums[fused].data()};
}

const float* Weights::tile_scales(std::size_t layer, Fused fused) const {
  return layers_[layer].scales[fused].data();
}

bool Weights::set_linear(std::size_t layer, Linear linear, const HfMatrix& from, float scale,
                         Pool& pool) {
  const Fused fused = kFusedOf[linear];
  const std::size_t rows = rows_of(linear);
  if (layer >= layers_.size()) throw std::invalid_argument("no such layer");
  if (from.n != rows || from.k != k_of(fused)) {
    throw std::invalid_argument("the matrix is " + std::to_string(from.n) + " x " +
                                std::to_string(from.k) + ", the geometry asks for " +
                                std::to_string(rows) + " x " + std::to_string(k_of(fused)));
  }
  Layer& it = layers_[layer];
  const bool half = fused == kGateUp;
  const std::size_t lanes = half ? kGateRows : kTileRows;
  const std::size_t lane = linear == kUp ? kGateRows : 0;
  const std::size_t first_tile = (linear == kK   ? key_row()
                                  : linear == kV ? value_row()
                                                 : 0) /
                                 kTileRows;
  const std::size_t count = (rows + lanes - 1) / lanes;
  const std::size_t tile_bytes = lines_of(code_, from.k) * kLineBytes;
  std::uint8_t* base = body_.data() + it.offset[fused] + first_tile * tile_bytes;
  std::int32_t* sums = it.row_sums[fused].data() + first_tile * kTileRows;

  std::atomic<bool> legal{true};
  Items items(pool.threads());
  pool.run([&](int) {
    for (std::size_t tile = items.take(); tile < count; tile = items.take()) {
      for (std::size_t r = 0; r < lanes; ++r) {
        std::uint8_t* to = base + tile * tile_bytes + (lane + r) * kLaneBytes;
        if (!pack_row(code_, from, tile * lanes + r, to, sums + tile * kTileRows + lane + r)) {
          legal.store(false, std::memory_order_relaxed);
        }
      }
    }
  });
  if (linear == kUp) {
    it.up_scale = scale;
  } else {
    std::fill_n(it.scales[fused].begin() + static_cast<std::ptrdiff_t>(first_tile), count, scale);
  }
  return legal.load();
}

void Weights::set_norm(std::size_t layer, Norm norm, const float* weight, std::size_t n) {
  if (layer >= layers_.size()) throw std::invalid_argument("no such layer");
  const std::size_t expected = norm == kAttentionNorm ? geometry_.query_rows()
                               : norm == kFfnNorm     ? geometry_.ffn
                                                      : geometry_.hidden;
  if (n != expected) throw std::invalid_argument("a norm weight has the wrong length");
  layers_[layer].norms[norm].assign(weight, weight + n);
}

void Weights::set_final_norm(const float* weight, std::size_t n) {
  if (n != geometry_.hidden) throw std::invalid_argument("the norm weight has the wrong length");
  final_norm_.assign(weight, weight + n);
}

}  // namespace trine
