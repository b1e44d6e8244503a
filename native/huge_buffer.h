// Memory for a read probe: page aligned, on huge pages where the system grants them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trine {

// Anonymous memory, not yet touched: whoever writes a page first decides its NUMA node.
class HugeBuffer {
 public:
  explicit HugeBuffer(std::size_t bytes);  // throws std::bad_alloc
  ~HugeBuffer();
  HugeBuffer(const HugeBuffer&) = delete;
  HugeBuffer& operator=(const HugeBuffer&) = delete;

  std::uint8_t* data() const { return data_; }

 private:
  void* mapping_;
  std::size_t mapped_bytes_;
  std::uint8_t* data_;
};

}  // namespace trine
