// Portable C++ at the architecture's baseline: always there, and the truth of the self-test.
#include "isa/all.h"
#include "isa/generic.h"

namespace trine {
namespace {

struct Scalar {
  using Words = std::uint64_t;
  // Four bytes, already widened: a loop over memory gets the widening free with its load.
  struct Bytes {
    std::int32_t at[4];
  };
  using Sums = std::int32_t;
  using Floats = float;

  static constexpr std::size_t kWordsBytes = 8;
  static constexpr std::size_t kDotBytes = 4;
  static constexpr std::size_t kFloats = 1;
  static constexpr std::size_t kDotChains = 4;  // with 4 + 4 operands: what 16 registers hold
  static constexpr std::size_t kFmaChains = 8;  // latency 4, 2 a cycle

  static Words load_words(const std::uint8_t* at) {
    Words word;
    __builtin_memcpy(&word, at, sizeof word);
    return word;
  }
  static Words add_words(Words a, Words b) { return a + b; }
  static void store_words(std::uint64_t* out, Words word) { *out = word; }

  template <class Byte>
  static Bytes load_bytes(const Byte* at) {
    return {{at[0], at[1], at[2], at[3]}};
  }
  static Sums dot(Sums sum, const Bytes& left, const Bytes& right) {
    for (int i = 0; i < 4; ++i) sum += left.at[i] * right.at[i];
    return sum;
  }
  static void store_sums(std::int32_t* out, Sums sum) { *out = sum; }

  static Floats load_floats(const float* at) { return *at; }
  static void store_floats(float* out, Floats value) { *out = value; }
  static Floats fma(Floats a, Floats b, Floats c) { return a * b + c; }

  static Bytes hide(Bytes bytes) {
    asm("" : "+r"(bytes.at[0]), "+r"(bytes.at[1]), "+r"(bytes.at[2]), "+r"(bytes.at[3]));
    return bytes;
  }
  static Sums hide(Sums sum) {
    asm("" : "+r"(sum));
    return sum;
  }
  static Floats hide(Floats value) {
#if defined(__x86_64__)
    asm("" : "+x"(value));
#elif defined(__aarch64__)
    asm("" : "+w"(value));
#else
    asm("" : "+m"(value));
#endif
    return value;
  }
};

}  // namespace

const Ops kScalarOps = kOps<Scalar>;

}  // namespace trine
