// Calls of plugins: what is thrown inside gets the name of the plugin that was called, once, whatever its type; what
// breaks a rule is said by the call that may throw.
#include "base/plugin_call.h"

#include <new>
#include <stdexcept>

#include <gtest/gtest.h>

#include <attnlab/eviction.h>

namespace attnlab {
namespace {

class PluginCalls : public testing::Test {
 protected:
  // The text of what comes out of a call in which this is run.
  template <class Body>
  std::string said(const Body& body) {
    try {
      call_plugin(callee_, "check", body);
    } catch (const PluginError& error) {
      return error.what();
    }
    return "nothing";
  }
  Callee callee_{"cache \"it\"", "it.cpp"};
  Callee other_{"attention \"that\"", "that.so"};
};

TEST_F(PluginCalls, SayWhoThrewWhateverWasThrown) {
  const std::string start = "cache \"it\" (it.cpp) threw in check: ";
  EXPECT_EQ(said([] { throw 42; }), start + "42 (int)");
  EXPECT_EQ(said([] { throw -1L; }), start + "-1 (long)");
  EXPECT_EQ(said([] { throw "words"; }), start + "words");
  EXPECT_EQ(said([] { throw std::string("more words"); }), start + "more words");
  EXPECT_EQ(said([] { throw std::runtime_error("an error"); }), start + "an error");
  EXPECT_EQ(said([] { throw std::vector<int>(); }),
            start + "an object of the type std::vector<int, std::allocator<int> >");
}

TEST_F(PluginCalls, SayWhatIsNestedInAnException) {
  EXPECT_EQ(said([] {
              try {
                try {
                  throw 7;
                } catch (...) {
                  std::throw_with_nested(std::logic_error("inner"));
                }
              } catch (...) {
                std::throw_with_nested(std::runtime_error("outer"));
              }
            }),
            "cache \"it\" (it.cpp) threw in check: outer: inner: 7 (int)");
}

TEST_F(PluginCalls, LeaveTheWordsOfAnErrorAndAddTheName) {
  EXPECT_EQ(said([] { throw Error("x.yaml:1:2", "too small", "make it larger"); }),
            "x.yaml:1:2: cache \"it\": too small; make it larger");
}

TEST_F(PluginCalls, InsideOthersAreNamedOnce) {
  const std::string text = said([&] { call_plugin(other_, "forward", [] { throw 1; }); });
  EXPECT_EQ(text, "attention \"that\" (that.so) threw in forward: 1 (int)");
}

TEST_F(PluginCalls, LetMemoryThatRanOutBeWhatItIs) {
  EXPECT_THROW(call_plugin(callee_, "check", [] { throw std::bad_alloc(); }), std::bad_alloc);
}

TEST_F(PluginCalls, GiveBackWhatTheFunctionGives) {
  EXPECT_EQ(call_plugin(callee_, "rows", [] { return 5; }), 5);
  EXPECT_EQ(PluginCall::running(), nullptr);
}

TEST_F(PluginCalls, MakeAFailedCheckTheErrorOfThePlugin) {
  const int rows = 3;
  const std::string text = said([&] { ATTNLAB_CHECK(rows == 4, "rows of another kind"); });
  EXPECT_EQ(text, "cache \"it\" (it.cpp) broke a rule in check: rows of another kind (rows == 4)");
}

TEST_F(PluginCalls, SayLaterWhatMustNotBeThrownAtOnce) {
  const auto tile = [&]() noexcept {
    const PluginCall call(callee_, "tile");
    note_broken_rule("the first");
    note_broken_rule("the second");
  };
  EXPECT_EQ(said(tile), "cache \"it\" (it.cpp) broke a rule in tile: the first");
  EXPECT_EQ(said([] {}), "nothing");  // once
}

TEST_F(PluginCalls, AreNobodysWhenTheyAreOver) {
  (void)said([] {});
  try {
    broken_rule("a wrong number", "give a right one");
    ADD_FAILURE() << "nothing was thrown";
  } catch (const PluginError&) {
    ADD_FAILURE() << "no plugin was called";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "a wrong number; give a right one");
  }
}

TEST(FailedChecks, OfTheHostEndTheProcessWithTheirPlace) {
  EXPECT_DEATH(ATTNLAB_CHECK(1 > 2, "numbers are out of order"),
               "attnlab: .*plugin_call_test.cpp:[0-9]+: internal error: numbers are out of order \\(1 > 2\\)");
}

TEST(RowsToDrop, RefusesScoresThatAreNoNumbersOrTooFew) {
  const std::vector<Position> positions{4, 5, 6, 9};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const auto text = [&](std::vector<double> scores, int keep) -> std::string {
    try {
      (void)rows_to_drop(scores, positions, keep);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(text({1, 2, nan, 0}, 2).find("the score of row 2 (position 6) is NaN"), std::string::npos);
  EXPECT_NE(text({1, 2, nan, 0}, 3).find("is NaN"), std::string::npos);  // one row goes: another path
  EXPECT_NE(text({1, 2, 3}, 2).find("3 scores for 4 rows"), std::string::npos);
  EXPECT_EQ(rows_to_drop(std::vector<double>{infinity, -infinity, 0, 1}, positions, 2), (std::vector<int>{1, 2}));
}

TEST(DropEntries, RefusesIndicesThatRowsWouldRefuse) {
  for (const std::vector<int>& rows : std::vector<std::vector<int>>{{1, 1}, {2, 0}, {0, 3}, {-1}}) {
    Callee callee("cache \"it\"", "it.cpp");
    std::vector<double> entries(3);
    EXPECT_THROW(call_plugin(callee, "check", [&] { drop_entries(entries, rows); }), PluginError);
  }
}

}  // namespace
}  // namespace attnlab
