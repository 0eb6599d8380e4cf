// YAML values against an option schema: types, bounds, choices, names.
#include <array>
#include <string>

#include <gtest/gtest.h>

#include <attnlab/error.h>
#include <attnlab/options.h>

#include "config/node.h"
#include "config/option_reader.h"
#include "config/problem_list.h"

namespace {

enum class Shape { round, square };

struct SampleOptions {
  int window = 128;
  std::int64_t seed = 1;
  double theta = 1e4;
  bool tied = false;
  std::string text = "none";
  Shape shape = Shape::round;
  std::vector<double> factors;
  std::vector<std::int64_t> layers;

  static constexpr auto fields() {
    using S = SampleOptions;
    using attnlab::field;
    return std::tuple{field("window", &S::window, {.min = 1, .max = 4096}),
                      field("seed", &S::seed, {.min = 0}),
                      field("theta", &S::theta, {.min = 0}),
                      field("tied", &S::tied, {}),
                      field("text", &S::text, {}),
                      field("shape", &S::shape, {}),
                      field("factors", &S::factors, {.min = 0, .max = 8}),
                      field("layers", &S::layers, {.min = 0})};
  }
};

}  // namespace

namespace attnlab {
template <>
inline constexpr std::array<Choice<Shape>, 2> kChoices<Shape>{{{"round", Shape::round}, {"square", Shape::square}}};
}  // namespace attnlab

namespace attnlab::config {
namespace {

SampleOptions decoded(const std::string& yaml) {
  ProblemList problems;
  const OptionValues values =
      read_options(parse_text(yaml, "f.yaml"), option_schema<SampleOptions>(), "sample", problems);
  problems.throw_if_any();
  return decode_options<SampleOptions>(values);
}

std::string problems_of(const std::string& yaml, const OptionSchema& schema = option_schema<SampleOptions>()) {
  ProblemList problems;
  (void)read_options(parse_text(yaml, "f.yaml"), schema, "sample", problems);
  std::string text;
  for (const Problem& problem : problems.sorted()) text += problem.text() + "\n";
  return text;
}

TEST(OptionReader, ReadsEveryType) {
  const SampleOptions options = decoded(
      "{window: 64, seed: 0, theta: 5e5, tied: true, text: 'abc', shape: square, factors: [1, 2.5], layers: [3, 0]}");
  EXPECT_EQ(options.window, 64);
  EXPECT_EQ(options.seed, 0);
  EXPECT_EQ(options.theta, 5e5);
  EXPECT_TRUE(options.tied);
  EXPECT_EQ(options.text, "abc");
  EXPECT_EQ(options.shape, Shape::square);
  EXPECT_EQ(options.factors, (std::vector<double>{1, 2.5}));
  EXPECT_EQ(options.layers, (std::vector<std::int64_t>{3, 0}));
}

TEST(OptionReader, TakesOnlyWhatIsGiven) {
  ProblemList problems;
  const OptionValues values =
      read_options(parse_text("window: 5", "f.yaml"), option_schema<SampleOptions>(), "sample", problems);
  EXPECT_EQ(values, (OptionValues{{"window", std::int64_t{5}}}));
  EXPECT_TRUE(read_options(Node(), option_schema<SampleOptions>(), "sample", problems).empty());
  EXPECT_TRUE(problems.empty());
}

TEST(OptionReader, AnIntegerIsAcceptedForAReal) {
  EXPECT_EQ(decoded("theta: 500000").theta, 5e5);
}

TEST(OptionReader, UnknownOptionsNameTheNearest) {
  EXPECT_EQ(problems_of("windw: 4"), "f.yaml:1:1: unknown option \"windw\" of \"sample\"; did you mean \"window\"?\n");
  EXPECT_EQ(
      problems_of("zzzzzz: 4"),
      "f.yaml:1:1: unknown option \"zzzzzz\" of \"sample\"; known options: window, seed, theta, tied, text, shape, "
      "factors, layers\n");
  EXPECT_EQ(problems_of("x: 4", {}), "f.yaml:1:1: unknown option \"x\" of \"sample\"; it takes no options\n");
  EXPECT_EQ(problems_of("{window:4: }"),
            "f.yaml:1:2: unknown option \"window:4\" of \"sample\"; write a blank after the colon: \"window: 4\"\n");
}

TEST(OptionReader, WrongTypesNameBothSides) {
  EXPECT_EQ(problems_of("window: abc"), "f.yaml:1:9: window: expected an integer, got text \"abc\"\n");
  EXPECT_EQ(problems_of("window:"), "f.yaml:1:1: window: expected an integer, got nothing\n");
  EXPECT_EQ(problems_of("theta: {a: 1}"), "f.yaml:1:8: theta: expected a number, got a map\n");
  EXPECT_EQ(problems_of("tied: 1"), "f.yaml:1:7: tied: expected true or false, got 1\n");
  EXPECT_EQ(problems_of("text: 12"), "f.yaml:1:7: text: expected text, got 12; put it in quotes\n");
  EXPECT_EQ(problems_of("factors: 3"), "f.yaml:1:10: factors: expected a list of numbers, got 3\n");
  EXPECT_EQ(problems_of("layers: 3"), "f.yaml:1:9: layers: expected a list of integers, got 3\n");
  EXPECT_EQ(problems_of("layers: [1, 0.5]"), "f.yaml:1:13: layers: expected an integer, got 0.5\n");
  EXPECT_EQ(problems_of("layers: []"), "");
  EXPECT_EQ(problems_of("[1]"), "f.yaml:1:1: options of \"sample\": expected a map, got a list\n");
}

TEST(OptionReader, BoundsAreNamed) {
  EXPECT_EQ(problems_of("window: 8192"), "f.yaml:1:9: window: 8192 is outside 1..4096\n");
  EXPECT_EQ(problems_of("seed: -1"), "f.yaml:1:7: seed: -1 is less than 0\n");
  EXPECT_EQ(problems_of("theta: -0.5"), "f.yaml:1:8: theta: -0.5 is less than 0\n");
  EXPECT_EQ(problems_of("factors: [1, 9]"), "f.yaml:1:14: factors: 9 is outside 0..8\n");
  EXPECT_EQ(problems_of("layers: [0, -2]"), "f.yaml:1:13: layers: -2 is less than 0\n");
  EXPECT_EQ(problems_of("seed: 9223372036854775807"), "");
}

TEST(OptionReader, ChoicesAreListed) {
  EXPECT_EQ(problems_of("shape: oval"), "f.yaml:1:8: shape: expected one of round, square, got text \"oval\"\n");
  EXPECT_EQ(problems_of("shape: squar"),
            "f.yaml:1:8: shape: expected one of round, square, got text \"squar\"; did you mean \"square\"?\n");
  EXPECT_EQ(problems_of("shape: [round]"), "f.yaml:1:8: shape: expected one of round, square, got a list\n");
}

TEST(OptionReader, AllProblemsComeAtOnceInTheOrderOfTheFile) {
  EXPECT_EQ(problems_of("shape: oval\nwindow: 0\nsed: 4\n"),
            "f.yaml:1:8: shape: expected one of round, square, got text \"oval\"\n"
            "f.yaml:2:9: window: 0 is outside 1..4096\n"
            "f.yaml:3:1: unknown option \"sed\" of \"sample\"; did you mean \"seed\"?\n");
}

TEST(OptionReader, ValuesAreSpelledForNames) {
  EXPECT_EQ(option_text(std::int64_t{4}), "4");
  EXPECT_EQ(option_text(0.1), "0.1");
  EXPECT_EQ(option_text(true), "true");
  EXPECT_EQ(option_text(std::string("abc")), "abc");
  EXPECT_EQ(option_text(std::vector<double>{1, 2.5}), "[1,2.5]");
  EXPECT_EQ(option_text(std::vector<std::int64_t>{3, 0}), "[3,0]");
}

}  // namespace
}  // namespace attnlab::config
