// UTF-8 as Unicode's table 3-7 defines it, written out a second time: every sequence of the bytes around its bounds,
// and every code point.
#include "base/utf8.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <vector>

namespace attnlab {
namespace {

struct Range {
  int low, high;
  [[nodiscard]] bool has(char byte) const {
    const int value = static_cast<unsigned char>(byte);
    return low <= value && value <= high;
  }
};

// The rows of the table: what may stand first, second, third and fourth.
const std::vector<std::vector<Range>> kTable{{{0x00, 0x7F}},
                                             {{0xC2, 0xDF}, {0x80, 0xBF}},
                                             {{0xE0, 0xE0}, {0xA0, 0xBF}, {0x80, 0xBF}},
                                             {{0xE1, 0xEC}, {0x80, 0xBF}, {0x80, 0xBF}},
                                             {{0xED, 0xED}, {0x80, 0x9F}, {0x80, 0xBF}},
                                             {{0xEE, 0xEF}, {0x80, 0xBF}, {0x80, 0xBF}},
                                             {{0xF0, 0xF0}, {0x90, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
                                             {{0xF1, 0xF3}, {0x80, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
                                             {{0xF4, 0xF4}, {0x80, 0x8F}, {0x80, 0xBF}, {0x80, 0xBF}}};

struct Right {
  Utf8State state;
  std::size_t bytes;
};

Right by_table(std::string_view text) {
  for (const std::vector<Range>& row : kTable) {
    std::size_t fit = 0;
    while (fit < row.size() && fit < text.size() && row[fit].has(text[fit])) ++fit;
    if (fit == 0) continue;
    if (fit == row.size()) return {Utf8State::valid, fit};
    return {fit == text.size() ? Utf8State::incomplete : Utf8State::invalid, fit};
  }
  return {Utf8State::invalid, 1};
}

TEST(Utf8, TakesWhatTheTableHasAndTheLongestStartOfWhatItHasNot) {
  const std::string bytes{'\x00', '\x41', '\x7F', '\x80', '\x8F', '\x90', '\x9F', '\xA0', '\xBF',
                          '\xC0', '\xC1', '\xC2', '\xDF', '\xE0', '\xE1', '\xEC', '\xED', '\xEE',
                          '\xEF', '\xF0', '\xF1', '\xF3', '\xF4', '\xF5', '\xFF'};
  std::array<int, 3> seen{};
  const std::function<void(std::string&)> expect_longer = [&](std::string& text) {
    if (!text.empty()) {
      const Right right = by_table(text);
      const Utf8Step found = first_character(text);
      ++seen.at(static_cast<std::size_t>(right.state));
      ASSERT_EQ(found.state, right.state) << testing::PrintToString(text);
      ASSERT_EQ(found.bytes, static_cast<int>(right.bytes)) << testing::PrintToString(text);
      ASSERT_EQ(found.code_point == U'\uFFFD', right.state != Utf8State::valid) << testing::PrintToString(text);
    }
    if (text.size() == 4) return;
    for (const char byte : bytes) {
      text += byte;
      expect_longer(text);
      text.pop_back();
    }
  };
  std::string text;
  expect_longer(text);
  for (const int times : seen) EXPECT_GT(times, 100);
}

TEST(Utf8, ReadsBackEveryCodePointThatItWrites) {
  for (char32_t right = 0; right <= 0x10FFFF; ++right) {
    if (right == 0xD800) right = 0xE000;  // surrogates are no characters
    std::string text;
    append_utf8(right, text);
    const Utf8Step found = first_character(text);
    ASSERT_EQ(found.state, Utf8State::valid) << static_cast<std::uint32_t>(right);
    ASSERT_EQ(found.code_point, right);
    ASSERT_EQ(static_cast<std::size_t>(found.bytes), text.size());
    ASSERT_EQ(code_point(text), right);
    ASSERT_EQ(last_character("é" + text), text);
  }
}

TEST(Utf8, CutsAndCountsBetweenCharacters) {
  const std::string text = "aé語🙂";
  const std::vector<std::string> right{"", "a", "a", "aé", "aé", "aé", "aé語", "aé語", "aé語", "aé語"};
  for (std::size_t bytes = 0; bytes < right.size(); ++bytes) EXPECT_EQ(whole_characters(text, bytes), right[bytes]);
  EXPECT_EQ(whole_characters(text, text.size()), text);
  EXPECT_EQ(whole_characters(text, 1000), text);
  EXPECT_EQ(count_characters(text), 4);
  EXPECT_EQ(count_characters(""), 0);
}

TEST(Utf8, FindsTheFirstBrokenCharacter) {
  const auto at = [](std::string_view text) { return first_invalid_utf8(text); };
  for (const char* good : {"", "a", "é", "語", "🙂", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000",
                           "\uffff", "\U00010000", "\U0010ffff"}) {
    EXPECT_EQ(at(good), std::nullopt) << good;
  }
  EXPECT_EQ(at(std::string_view("\0", 1)), std::nullopt);
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80",
                          "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3",
                          "\xE8\xAA", "\xF0\x9F\x99", "\xC3(", "\xE8(\xAA"}) {
    EXPECT_EQ(at("語a" + std::string(bad) + "b"), 4U) << bad;
    EXPECT_EQ(at(bad), 0U) << bad;
  }
}

}  // namespace
}  // namespace attnlab
