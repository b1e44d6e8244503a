// Attention over a KV cache that is somebody else's: Hugging Face's.
#pragma once

#include <cstddef>
#include <mutex>
#include <vector>

#include "floats.h"
#include "isa/ops.h"
#include "pool.h"

namespace trine {

// Softmax attention of one query a sequence over all keys of a KV cache.
struct AttendCall {
  std::size_t sequences;
  std::size_t heads;
  std::size_t kv_heads;
  std::size_t keys;
  std::size_t head_dim;
  float scaling;
  FloatView query;  // [sequences][heads][head_dim]
  FloatView key;    // [sequences][kv_heads][keys][head_dim]
  FloatView value;
  FloatOut out;  // [sequences][heads][head_dim]
};

// In float32. Results do not depend on the number of threads. One call at a time: further callers
// wait.
class CacheAttention {
 public:
  CacheAttention(const Ops& ops, Pool& pool);

  // Shapes are the caller's to check. Throws std::bad_alloc.
  void run(const AttendCall& call);

 private:
  void heads(const AttendCall& call, std::size_t kv_head, std::size_t first, std::size_t count,
             float* room) const;

  const Ops& ops_;
  Pool& pool_;
  std::mutex one_call_;
  std::vector<std::vector<float>> rooms_;
};

}  // namespace trine
