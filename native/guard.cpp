#include "guard.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#include <mutex>

namespace trine {
namespace {

sigjmp_buf escape;
pthread_t owner;
struct sigaction before;

void on_illegal_instruction(int number) {
  if (pthread_equal(pthread_self(), owner)) siglongjmp(escape, 1);
  // Not ours: put the old handler back and return, which meets the instruction again.
  sigaction(number, &before, nullptr);
}

}  // namespace

bool run_guarded(bool (*probe)(const void* argument), const void* argument) {
  static std::mutex one_at_a_time;
  const std::lock_guard<std::mutex> lock(one_at_a_time);

  owner = pthread_self();
  struct sigaction during = {};
  during.sa_handler = on_illegal_instruction;
  sigemptyset(&during.sa_mask);
  sigaction(SIGILL, &during, &before);

  // Saves the signal mask too: the jump leaves the handler with SIGILL still blocked.
  volatile bool result = false;
  if (sigsetjmp(escape, 1) == 0) result = probe(argument);

  sigaction(SIGILL, &before, nullptr);
  return result;
}

}  // namespace trine
