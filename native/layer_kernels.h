// What stands around the attention of one decoder layer, for a caller that keeps the weights, the
// KV cache and the attention itself: Hugging Face's modules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "floats.h"
#include "isa/ops.h"
#include "multiply.h"
#include "pool.h"

namespace trine {

// An RMSNorm; without data there is none.
struct NormView {
  FloatView weight;
  float eps;

  bool present() const { return weight.data != nullptr; }
};

// A packed matrix with its number of rows and its scale.
struct LinearView {
  TernaryMatrix matrix;
  std::size_t rows;
  float scale;
};

inline constexpr std::size_t kQkvs = 3;

// Input norm, q, k, v, and the rotation of q and k.
struct QkvCall {
  std::size_t sequences;
  std::size_t length;  // tokens of each
  FloatView x;         // [sequences][length][K of q, k and v]
  NormView norm;
  LinearView linears[kQkvs];
  std::size_t head_dim;
  FloatView cos;  // [sequences or 1][length][head_dim]; the first half is read
  FloatView sin;
  bool own_positions;   // whether each sequence has its own cos and sin
  FloatOut out[kQkvs];  // [sequences][rows / head_dim][length][head_dim]
};

// Norm of the attention's output, o, its residual; norm, gate, up, activation, norm, down, and the
// residual of these.
struct OutputMlpCall {
  std::size_t tokens;
  FloatView mixed;  // [tokens][K of o]
  FloatView x;      // [tokens][hidden]
  NormView attention_norm;
  NormView post_norm;
  NormView ffn_norm;
  LinearView output;
  LinearView gate;
  LinearView up;
  LinearView down;
  Activation activation;
  FloatOut out;  // [tokens][hidden]
};

// Everything between the rounding of the inputs and that of the results is float32. Results do not
// depend on the number of threads. One call at a time: further callers wait. The memory that calls
// need is kept between them.
class LayerKernels {
 public:
  LayerKernels(const Ops& ops, Pool& pool);

  // Shapes are the caller's to check. Throw std::bad_alloc.
  void qkv(const QkvCall& call);
  void output_mlp(const OutputMlpCall& call);

 private:
  struct Worker {
    explicit Worker(const Ops& ops) : scratch(ops) {}
    Scratch scratch;
    std::vector<float> row;
    std::vector<float> weight;
    std::vector<float> values;
  };
  class Norm;

  void qkv_piece(const QkvCall& call, std::size_t first, std::size_t tokens);
  void output_mlp_piece(const OutputMlpCall& call, std::size_t first, std::size_t tokens);
  void rotate(const QkvCall& call, std::size_t token, float* values, Worker& own) const;
  void write_heads(const QkvCall& call, std::size_t which, std::size_t token,
                   const float* values) const;
  template <class Write>
  void dequantise(const Block& block, const LinearView& linear, const QuantisedTokens& quantised,
                  const Write& write, float* out, std::size_t stride) const;
  // Declares the shape of what a stage quantises. Each stage has room of its own, so that none
  // waits until another is done with it.
  void begin(std::size_t stage, std::size_t tokens, const TernaryMatrix& matrix);
  // Room for rows of n floats. Workers may not throw: it is made before they run.
  void workers_room(std::size_t n);

  static constexpr std::size_t kStages = 3;

  const Ops& ops_;
  Pool& pool_;
  std::vector<Worker> workers_;
  std::mutex one_call_;
  std::vector<QuantisedTokens> quantised_;
  std::vector<float> floats_;
  std::vector<std::int32_t> sums_;
};

}  // namespace trine
