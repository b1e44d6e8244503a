#include "cache_attention.h"

#include <algorithm>
#include <cmath>

namespace trine {
namespace {

// What an item of the attention takes at once: heads enough for a key to be widened seldom, few
// enough for all workers; keys that stay in the L1 cache.
constexpr std::size_t kHeadsTogether = 2;
constexpr std::size_t kKeysTogether = 16;

void softmax(float* values, std::size_t n) {
  const float top = *std::max_element(values, values + n);
  float total = 0.0f;
  for (std::size_t i = 0; i < n; ++i) {
    values[i] = std::exp(values[i] - top);
    total += values[i];
  }
  for (std::size_t i = 0; i < n; ++i) values[i] /= total;
}

// out += sum over rows j of shares[j] * rows[j][n]
void add_rows(const float* shares, const float* rows, std::size_t count, std::size_t n,
              float* out) {
  std::size_t j = 0;
  for (; j + 4 <= count; j += 4) {
    const float* at = rows + j * n;
    for (std::size_t i = 0; i < n; ++i) {
      out[i] += (shares[j] * at[i] + shares[j + 1] * at[n + i]) +
                (shares[j + 2] * at[2 * n + i] + shares[j + 3] * at[3 * n + i]);
    }
  }
  for (; j < count; ++j) {
    for (std::size_t i = 0; i < n; ++i) out[i] += shares[j] * rows[j * n + i];
  }
}

}  // namespace

CacheAttention::CacheAttention(const Ops& ops, Pool& pool)
    : ops_(ops), pool_(pool), rooms_(static_cast<std::size_t>(pool.threads())) {}

void CacheAttention::run(const AttendCall& call) {
  const std::lock_guard<std::mutex> lock(one_call_);
  const std::size_t group = call.heads / call.kv_heads;
  const std::size_t parts = (group + kHeadsTogether - 1) / kHeadsTogether;
  const std::size_t room =
      kHeadsTogether * (2 * call.head_dim + call.keys) + kKeysTogether * call.head_dim;
  for (std::vector<float>& each : rooms_) {
    if (each.size() < room) each.resize(room);
  }
  Items items(pool_.threads());
  pool_.run([&](int worker) {
    float* own = rooms_[static_cast<std::size_t>(worker)].data();
    const std::size_t count = call.sequences * call.kv_heads * parts;
    for (std::size_t item = items.take(); item < count; item = items.take()) {
      const std::size_t first = item % parts * kHeadsTogether;
      heads(call, item / parts, first, std::min(kHeadsTogether, group - first), own);
    }
  });
}

// `count` of the query heads that share a KV head, from the group's `first` on.
void CacheAttention::heads(const AttendCall& call, std::size_t kv_head, std::size_t first,
                           std::size_t count, float* room) const {
  const std::size_t dim = call.head_dim;
  const std::size_t head = kv_head * (call.heads / call.kv_heads) + first;
  float* queries = room;
  float* mixed = queries + count * dim;
  float* shares = mixed + count * dim;  // [count][keys]
  float* rows = shares + count * call.keys;
  ops_.decoder.widen[call.query.type](call.query.at(head * dim), count * dim, queries);
  for (std::size_t i = 0; i < count * dim; ++i) queries[i] *= call.scaling;
  for (std::size_t key = 0; key < call.keys; key += kKeysTogether) {
    const std::size_t some = std::min(kKeysTogether, call.keys - key);
    const std::size_t row = kv_head * call.keys + key;
    ops_.decoder.widen[call.key.type](call.key.at(row * dim), some * dim, rows);
    for (std::size_t h = 0; h < count; ++h) {
      for (std::size_t j = 0; j < some; ++j) {
        shares[h * call.keys + key + j] =
            ops_.decoder.dot_float[kF32](rows + j * dim, queries + h * dim, dim);
      }
    }
  }
  for (std::size_t h = 0; h < count; ++h) softmax(shares + h * call.keys, call.keys);
  std::fill_n(mixed, count * dim, 0.0f);
  for (std::size_t key = 0; key < call.keys; key += kKeysTogether) {
    const std::size_t some = std::min(kKeysTogether, call.keys - key);
    const std::size_t row = kv_head * call.keys + key;
    ops_.decoder.widen[call.value.type](call.value.at(row * dim), some * dim, rows);
    for (std::size_t h = 0; h < count; ++h) {
      add_rows(shares + h * call.keys + key, rows, some, dim, mixed + h * dim);
    }
  }
  narrow(ops_, mixed, count * dim, call.out.type, call.out.at(head * dim));
}

}  // namespace trine
