// The weights of a decoder, packed for the kernels. Filled once, then read by every session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "aligned_array.h"
#include "huge_buffer.h"
#include "isa/ops.h"
#include "multiply.h"
#include "pool.h"

namespace trine {

struct Geometry {
  std::size_t vocabulary;
  std::size_t hidden;
  std::size_t ffn;
  std::size_t layers;
  std::size_t heads;
  std::size_t kv_heads;
  std::size_t head_dim;
  float rms_norm_eps;
  Activation activation;
  // Whether a norm stands before the output and the down projection.
  bool sub_norms;

  std::size_t query_rows() const { return heads * head_dim; }
  std::size_t key_rows() const { return kv_heads * head_dim; }
};

// The matrices of a layer as they are multiplied: q, k and v share their input and are one matrix,
// each beginning with a tile of its own; gate and up are one matrix with 8 rows of each in a tile.
enum Fused { kQkv = 0, kOutput = 1, kGateUp = 2, kDown = 3 };
inline constexpr int kFused = 4;

// The seven matrices of a checkpoint's layer, and its norms.
enum Linear { kQ = 0, kK = 1, kV = 2, kO = 3, kGate = 4, kUp = 5, kDownLinear = 6 };
inline constexpr int kLinears = 7;
enum Norm { kInputNorm = 0, kAttentionNorm = 1, kPostNorm = 2, kFfnNorm = 3 };
inline constexpr int kNorms = 4;

class Weights {
 public:
  // Throws std::invalid_argument for an impossible geometry, std::bad_alloc.
  Weights(const Geometry& geometry, Code code);

  const Geometry& geometry() const { return geometry_; }
  Code code() const { return code_; }
  std::size_t body_bytes() const { return body_bytes_; }

  // Packs one matrix on the pool; false when it holds a code that is no trit. Throws
  // std::invalid_argument for a wrong shape.
  bool set_linear(std::size_t layer, Linear linear, const HfMatrix& from, float scale, Pool& pool);
  void set_norm(std::size_t layer, Norm norm, const float* weight, std::size_t n);
  void set_final_norm(const float* weight, std::size_t n);

  TernaryMatrix matrix(std::size_t layer, Fused fused) const;
  // Of the tile's rows; of a gate/up tile, that of gate.
  const float* tile_scales(std::size_t layer, Fused fused) const;
  float up_scale(std::size_t layer) const { return layers_[layer].up_scale; }
  const float* norm(std::size_t layer, Norm norm) const {
    return layers_[layer].norms[norm].data();
  }
  const float* final_norm() const { return final_norm_.data(); }

  // First row of q, k and v in the rows of kQkv.
  std::size_t key_row() const { return round_up(geometry_.query_rows(), kTileRows); }
  std::size_t value_row() const { return key_row() + round_up(geometry_.key_rows(), kTileRows); }
  std::size_t widest_k() const;

 private:
  struct Layer {
    std::size_t offset[kFused];  // in body_
    AlignedArray<std::int32_t> row_sums[kFused];
    std::vector<float> scales[kFused];
    float up_scale = 0;
    std::vector<float> norms[kNorms];
  };

  std::size_t tiles(Fused fused) const;
  std::size_t k_of(Fused fused) const;
  std::size_t rows_of(Linear linear) const;

  Geometry geometry_;
  Code code_;
  std::size_t body_bytes_;
  HugeBuffer body_;
  std::vector<Layer> layers_;
  std::vector<float> final_norm_;
};

}  // namespace trine
