// Ranges written out: in lists of numbers, in batches, in the cells of a grid and in workloads.
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "config/quantities.h"
#include "config/ranges.h"
#include "config/scalars.h"
#include "study/arms.h"
#include "unit/spec_samples.h"
#include "workloads/batch.h"

namespace attnlab::experiment {
namespace {

using Texts = std::vector<std::string>;

Texts values_of(const std::string& yaml) {
  config::ProblemList problems;
  Texts texts;
  for (const config::Node& value : config::expand_range(config::parse_text(yaml, "f.yaml"), problems))
    texts.push_back(value.text());
  problems.throw_if_any();
  return texts;
}

std::string range_error(const std::string& yaml) {
  return error_of([&] { (void)values_of(yaml); });
}

Texts names_of(const std::string& yaml) {
  config::ProblemList problems;
  Texts names;
  for (const Arm& arm : read_arms(config::parse_text(yaml, "f.yaml"), sample_lookup(), {}, problems))
    names.push_back(arm.name);
  problems.throw_if_any();
  return names;
}

std::string arms_error(const std::string& yaml) {
  return error_of([&] { (void)names_of(yaml); });
}

TEST(Ranges, MultiplyOrAdd) {
  EXPECT_EQ(values_of("{range: [64, 1024], factor: 2}"), (Texts{"64", "128", "256", "512", "1024"}));
  EXPECT_EQ(values_of("{range: [64, 1000], factor: 4}"), (Texts{"64", "256"}));
  EXPECT_EQ(values_of("{range: [0, 10], step: 4}"), (Texts{"0", "4", "8"}));
  EXPECT_EQ(values_of("{range: [5, 5], step: 1}"), (Texts{"5"}));
  EXPECT_EQ(values_of("{range: [0.1, 0.4], step: 0.1}"), (Texts{"0.1", "0.2", "0.3", "0.4"}));
  EXPECT_EQ(values_of("{range: [1.0, 2.0], step: 0.5}"), (Texts{"1.0", "1.5", "2.0"}));
  EXPECT_EQ(values_of("{range: [2, 5], factor: 1.5}"), (Texts{"2", "3", "4.5"}));
}

TEST(Ranges, ThatAreWrongAreExplained) {
  const std::string form = "; write {range: [64, 1024], factor: 2} or {range: [64, 1024], step: 64}";
  EXPECT_EQ(range_error("{range: [1, 2]}"), "f.yaml:1:1: a range: give either factor or step" + form);
  EXPECT_EQ(range_error("{range: [1, 2], factor: 2, step: 1}"),
            "f.yaml:1:1: a range: give either factor or step" + form);
  EXPECT_EQ(range_error("{range: 5, step: 1}"), "f.yaml:1:9: range: expected two numbers, got 5" + form);
  EXPECT_EQ(range_error("{range: [1, 2, 3], step: 1}"), "f.yaml:1:9: range: expected two numbers, got 3 values" + form);
  EXPECT_EQ(range_error("{range: [1, x], step: 1}"), "f.yaml:1:13: range: expected a number, got text \"x\"");
  EXPECT_EQ(range_error("{range: [9, 1], step: 1}"),
            "f.yaml:1:9: range: it ends before it begins; the smaller one first");
  EXPECT_EQ(range_error("{range: [0, 8], factor: 2}"),
            "f.yaml:1:9: range: a factor needs a first value above 0; give a step instead");
  EXPECT_EQ(range_error("{range: [1, 8], factor: 1}"), "f.yaml:1:25: factor: 1 is not more than 1");
  EXPECT_EQ(range_error("{range: [1, 8], step: 0}"), "f.yaml:1:23: step: 0 is not more than 0");
  EXPECT_EQ(range_error("{range: [1, 8], stp: 1}"),
            "f.yaml:1:1: a range: give either factor or step" + form +
                "\nf.yaml:1:17: unknown key \"stp\" of a range; did you mean \"step\"?");
  EXPECT_EQ(range_error("{range: [1, 1000000000], step: 1}"),
            "f.yaml:1:1: the range has more than 10000 values; a larger factor or step makes fewer");
}

TEST(Ranges, MakeCellsOfAGrid) {
  EXPECT_EQ(names_of("grid: {cache: [full, {window: {window: {range: [64, 256], factor: 2}}}]}"),
            (Texts{"mha/rope/full", "mha/rope/window(window=64)", "mha/rope/window(window=128)",
                   "mha/rope/window(window=256)"}));
  EXPECT_EQ(names_of("grid: {cache: {sink: {sinks: {range: [1, 2], step: 1}, window: {range: [8, 16], step: 8}}}}"),
            (Texts{"mha/rope/sink(sinks=1,window=8)", "mha/rope/sink(sinks=1,window=16)",
                   "mha/rope/sink(sinks=2,window=8)", "mha/rope/sink(sinks=2,window=16)"}));
  EXPECT_EQ(names_of("grid: {cache: {window: {window: {range: [8, 64], factor: 2}}}}\n"
                     "exclude: [{cache: {window: {window: {range: [16, 32], factor: 2}}}}]\n"),
            (Texts{"mha/rope/window(window=8)", "mha/rope/window(window=64)"}));
}

TEST(Ranges, AreNoArmsOfAList) {
  EXPECT_EQ(arms_error("- cache: {window: {window: {range: [8, 64], factor: 2}}}\n"),
            "f.yaml:1:28: a range or a list makes several arms, and this is one arm; write it in a grid");
}

TEST(Ranges, OfOptionsHaveTheBoundsOfTheOptionSaidOnce) {
  EXPECT_EQ(arms_error("grid: {cache: {window: {window: {range: [-5, 64], step: 1}}}}"),
            "f.yaml:1:33: window: -5 is less than 1");
  EXPECT_EQ(arms_error("grid: {cache: {window: {window: {range: [1, 4], step: 0.5}}}}"),
            "f.yaml:1:33: window: expected an integer, got 1.5");
}

TEST(Ranges, DoNotMultiplyOutWithoutEnd) {
  EXPECT_EQ(
      arms_error("grid: {cache: {sink: {sinks: {range: [1, 200], step: 1}, window: {range: [300, 500], step: 1}}}}"),
      "f.yaml:1:66: the ranges and lists multiply out to more than 10000 combinations; "
      "a larger step or a shorter list makes fewer");
  EXPECT_EQ(arms_error("grid:\n  attention: {gqa: {kv_heads: {range: [1, 150], step: 1}}}\n"
                       "  cache: {window: {window: {range: [1, 150], step: 1}}}\n"),
            "f.yaml:3:3: the grid has more than 10000 arms");
}

TEST(Ranges, StandInListsOfNumbers) {
  const auto integers = [](const std::string& yaml) {
    config::ProblemList problems;
    const auto values = config::as_integers(config::parse_text(yaml, "f.yaml"), "seed", problems, 0, 100);
    problems.throw_if_any();
    return values.value();
  };
  EXPECT_EQ(integers("{range: [1, 3], step: 1}"), (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(integers("[7, {range: [10, 40], factor: 2}]"), (std::vector<std::int64_t>{7, 10, 20, 40}));
  EXPECT_EQ(error_of([&] { (void)integers("{range: [99, 1000], step: 1}"); }),
            "f.yaml:1:1: seed: 101 is outside 0..100");
}

TEST(Ranges, MakeBatches) {
  const auto batches = [](const std::string& yaml) {
    config::ProblemList problems;
    Texts texts;
    for (const config::Node& one : expand_batches(config::parse_text(yaml, "f.yaml"), problems))
      texts.push_back(one.text());
    problems.throw_if_any();
    return texts;
  };
  EXPECT_EQ(batches("{each: q1s*, range: [512, 4k], factor: 2}"), (Texts{"q1s512", "q1s1k", "q1s2k", "q1s4k"}));
  EXPECT_EQ(batches("{each: '*q1s1k', range: [1, 3], step: 1}"), (Texts{"1q1s1k", "2q1s1k", "3q1s1k"}));
  EXPECT_EQ(error_of([&] { (void)batches("{each: q1s, range: [1, 2], step: 1}"); }),
            "f.yaml:1:8: each: \"q1s\" has no place for the value, or several; write one *, as in q1s*");
  EXPECT_EQ(error_of([&] { (void)batches("{range: [1, 2], step: 1}"); }),
            "f.yaml:1:1: the key \"each\" of a batch is missing");
}

TEST(Grids, HaveTagsOfTheirOwnAndOfTheirCells) {
  config::ProblemList problems;
  const std::vector<Arm> arms =
      read_arms(config::parse_text("grid: {tags: [all], attention: [mha, {mqa: {}, tags: [few]}], "
                                   "cache: [full, {window: {window: 8}, tags: [small, all]}]}",
                                   "f.yaml"),
                sample_lookup(), {}, problems);
  problems.throw_if_any();
  ASSERT_EQ(arms.size(), 4U);
  EXPECT_EQ(arms[0].tags, (Texts{"all"}));
  EXPECT_EQ(arms[3].tags, (Texts{"all", "few", "small"}));
  EXPECT_EQ(select_arms(arms, "small"), (std::vector<std::size_t>{1, 3}));
  EXPECT_EQ(select_arms(arms, "few"), (std::vector<std::size_t>{2, 3}));
}

// The schema's expressions and the readers: random texts of the characters that matter, from a fixed seed.
template <class Reader>
void expect_same_texts(std::string_view pattern, const std::string& alphabet, bool both_ways, const Reader& reads) {
  const std::regex expression{std::string(pattern)};
  std::uint32_t state = 7;
  const auto next = [&](std::size_t below) {
    state = state * 1664525 + 1013904223;
    return (state >> 16) % below;
  };
  int read = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (std::size_t length = 1 + next(8); text.size() < length;) text += alphabet[next(alphabet.size())];
    const bool matches = std::regex_match(text, expression);
    const bool is_read = reads(text);
    read += is_read ? 1 : 0;
    if (is_read || both_ways) {
      ASSERT_EQ(matches, is_read) << text;
    }
  }
  EXPECT_GT(read, 50) << "the random texts say nothing";
}

TEST(SchemaPatterns, OfBatchesAreWhatTheReaderTakes) {
  expect_same_texts(kBatchPattern, "qqs12k_0", false, [](const std::string& text) {
    config::ProblemList problems;
    return read_batch(config::Node::scalar({}, text, false), problems).has_value();
  });
  for (const char* text : {"", "q", "1q", "q0", "q1s", "q1_", "q1k2", "q1ss2", "8z", "q1 "})
    EXPECT_FALSE(std::regex_match(text, std::regex(std::string(kBatchPattern)))) << text;
}

TEST(SchemaPatterns, OfLayersAreWhatTheReaderTakes) {
  expect_same_texts(kLayersPattern, "0123,- ", false, [](const std::string& text) {
    std::string fault;
    return LayerSet::parse(text, fault).has_value();
  });
  const std::regex expression{std::string(kLayersPattern)};
  for (const char* text : {"every 4", "every 4 from 3", "0,2,5", "2-", "-4"})
    EXPECT_TRUE(std::regex_match(text, expression)) << text;
  for (const char* text : {"", "-", "every", "every 0", "every 4 from", "last", "1-2-3", "1,"})
    EXPECT_FALSE(std::regex_match(text, expression)) << text;
}

TEST(SchemaPatterns, OfBytesAndSharesAreWhatTheReadersTake) {
  expect_same_texts(config::kBytesPattern, "159.GMiB ", false, [](const std::string& text) {
    config::ProblemList problems;
    return text.find_first_of("GMiB") != text.npos &&
           config::as_bytes(config::Node::scalar({}, text, false), "memory", problems).has_value();
  });
  expect_same_texts(config::kSharePattern, "159.% ", false, [](const std::string& text) {
    config::ProblemList problems;
    return text.find('%') != text.npos &&
           config::as_share(config::Node::scalar({}, text, false), "until", problems).has_value();
  });
}

}  // namespace
}  // namespace attnlab::experiment
