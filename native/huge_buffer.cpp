#include "huge_buffer.h"

#include <sys/mman.h>

#include <new>

namespace trine {
namespace {

// The huge page of x86-64, and of Arm with 4 KiB base pages. Without huge pages a stream is held
// up by address translation and under-reads the roof.
constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

HugeBuffer::HugeBuffer(std::size_t bytes) : mapped_bytes_(bytes + 2 * kHugePage) {
  mapping_ =
      mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping_ == MAP_FAILED) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  madvise(mapping_, mapped_bytes_, MADV_HUGEPAGE);  // advice: refusal costs speed, nothing else
#endif
  const auto address = reinterpret_cast<std::uintptr_t>(mapping_);
  data_ = static_cast<std::uint8_t*>(mapping_) + (kHugePage - address % kHugePage) % kHugePage;
}

HugeBuffer::~HugeBuffer() { munmap(mapping_, mapped_bytes_); }

}  // namespace trine
