#include "kv_cache.h"

#include "tiles.h"

namespace trine {

KvCache::KvCache(const CacheShape& shape, Cache type)
    : shape_(shape),
      type_(type),
      rounded_(round_up(shape.capacity, kBlockKeys)),
      block_(kBlockKeys * shape.head_dim),
      stride_(shape.layers * shape.kv_heads * block_),
      keys_(rounded_ / kBlockKeys * stride_ * kCacheBytes[type]),
      values_(rounded_ / kBlockKeys * stride_ * kCacheBytes[type]) {
  if (type == kCacheInt8) {
    key_scales_.resize(shape.layers * shape.kv_heads * rounded_);
    value_scales_.resize(shape.layers * shape.kv_heads * rounded_);
  }
}

std::size_t KvCache::bytes_per_position() const {
  const std::size_t scale_bytes = type_ == kCacheInt8 ? sizeof(float) : 0;
  return 2 * shape_.layers * shape_.kv_heads * (shape_.head_dim * kCacheBytes[type_] + scale_bytes);
}

void KvCache::store(const DecoderOps& ops, std::size_t layer, std::size_t head,
                    std::size_t position, const float* key, const float* value) {
  const std::size_t index = head_index(layer, head);
  const std::size_t block = position / kBlockKeys * stride_ + index * block_;
  const std::size_t key_at = block + position % kBlockKeys;
  const std::size_t value_at = block + position % kBlockKeys * shape_.head_dim;
  const std::size_t bytes = kCacheBytes[type_];
  const float key_scale =
      ops.store_cache[type_](key, shape_.head_dim, keys_.data() + key_at * bytes, kBlockKeys);
  const float value_scale =
      ops.store_cache[type_](value, shape_.head_dim, values_.data() + value_at * bytes, 1);
  if (type_ == kCacheInt8) {
    key_scales_[index * rounded_ + position] = key_scale;
    value_scales_[index * rounded_ + position] = value_scale;
  }
}

AttendBlocks KvCache::blocks(std::size_t layer, std::size_t head, std::size_t first,
                             std::size_t positions) const {
  const std::size_t index = head_index(layer, head);
  const bool scaled = type_ == kCacheInt8;
  const std::size_t at = (first / kBlockKeys * stride_ + index * block_) * kCacheBytes[type_];
  return {keys_.data() + at,
          values_.data() + at,
          stride_,
          scaled ? key_scales_.data() + index * rounded_ + first : nullptr,
          scaled ? value_scales_.data() + index * rounded_ + first : nullptr,
          shape_.head_dim,
          positions};
}

}  // namespace trine
