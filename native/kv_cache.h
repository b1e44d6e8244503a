// The keys and values that a session has seen.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "huge_buffer.h"
#include "isa/ops.h"

namespace trine {

struct CacheShape {
  std::size_t layers;
  std::size_t kv_heads;
  std::size_t head_dim;
  std::size_t capacity;  // positions
};

// Memory is reserved for all positions and touched as they come.
class KvCache {
 public:
  // Throws std::bad_alloc.
  KvCache(const CacheShape& shape, Cache type);

  Cache type() const { return type_; }
  std::size_t capacity() const { return shape_.capacity; }
  std::size_t bytes_per_position() const;

  // Positions that are filled in every layer. A forward pass writes behind them and then moves
  // this on, so that a pass that was stopped leaves no trace.
  std::size_t length = 0;

  // Stores the key and the value, [head_dim] each, of one head at a position.
  void store(const DecoderOps& ops, std::size_t layer, std::size_t head, std::size_t position,
             const float* key, const float* value);

  // `positions` from `first` on, which begins a block.
  AttendBlocks blocks(std::size_t layer, std::size_t head, std::size_t first,
                      std::size_t positions) const;

 private:
  std::size_t head_index(std::size_t layer, std::size_t head) const {
    return layer * shape_.kv_heads + head;
  }

  CacheShape shape_;
  Cache type_;
  std::size_t rounded_;  // capacity in whole blocks
  std::size_t block_;    // elements of the keys or values of one head in a block of positions
  std::size_t stride_;   // elements of all layers and heads in a block: memory grows with positions
  HugeBuffer keys_;
  HugeBuffer values_;
  std::vector<float> key_scales_;  // [layer][head][position], int8 only
  std::vector<float> value_scales_;
};

}  // namespace trine
