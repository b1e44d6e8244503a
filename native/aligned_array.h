// A fixed-size array that begins on a cache line, zeroed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace trine {

template <class T>
class AlignedArray {
 public:
  AlignedArray() = default;
  // Throws std::bad_alloc.
  explicit AlignedArray(std::size_t count) : count_(count) {
    constexpr std::size_t kLine = 64;
    const std::size_t bytes = (std::max<std::size_t>(count, 1) * sizeof(T) + kLine - 1) / kLine;
    data_.reset(static_cast<T*>(std::aligned_alloc(kLine, bytes * kLine)));
    if (data_ == nullptr) throw std::bad_alloc();
    std::fill_n(data_.get(), count, T{});
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return count_; }
  T& operator[](std::size_t index) { return data_.get()[index]; }
  const T& operator[](std::size_t index) const { return data_.get()[index]; }

 private:
  struct Free {
    void operator()(T* at) const { std::free(at); }
  };
  std::unique_ptr<T, Free> data_;
  std::size_t count_ = 0;
};

}  // namespace trine
