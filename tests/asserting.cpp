// Not included here by name: whether assertions are counted is what the precompiled header decides for all files alike.
#ifdef ATTNLAB_COUNTS_ASSERTIONS

#include <atomic>

namespace attnlab::test {
namespace {

std::atomic<long> assertions = 0;

class NoTestWithoutAssertions final : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override { assertions = 0; }
  void OnTestEnd(const testing::TestInfo& test) override {
    if (assertions > 0 || test.result()->Skipped() || test.result()->Failed()) return;
    ADD_FAILURE() << test.test_suite_name() << "." << test.name() << " asserts nothing";
  }
};

[[maybe_unused]] const bool is_listening = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new NoTestWithoutAssertions);  // owned by GoogleTest
  return true;
}();

}  // namespace

int count_assertion() noexcept {
  assertions.fetch_add(1, std::memory_order_relaxed);
  return 0;
}

}  // namespace attnlab::test

#endif
