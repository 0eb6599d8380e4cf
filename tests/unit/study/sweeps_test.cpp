// Several values where an option takes one: lists, and options that move together.
#include <gtest/gtest.h>

#include "study/arms.h"
#include "unit/spec_samples.h"

namespace attnlab::experiment {
namespace {

using Texts = std::vector<std::string>;

std::vector<Arm> arms_of(const std::string& yaml, config::ProblemList& problems) {
  return read_arms(config::parse_text(yaml, "f.yaml"), sample_lookup(), {}, problems);
}

Texts names_of(const std::string& yaml) {
  config::ProblemList problems;
  Texts names;
  for (const Arm& arm : arms_of(yaml, problems)) names.push_back(arm.name);
  problems.throw_if_any();
  return names;
}

std::string fault(const std::string& yaml) {
  try {
    (void)names_of(yaml);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

TEST(Sweeps, AListOfValuesMakesAnArmOfEach) {
  EXPECT_EQ(names_of("grid: {cache: {window: {window: [32, 64, 128]}}}"),
            (Texts{"mha/rope/window(window=32)", "mha/rope/window(window=64)", "mha/rope/window(window=128)"}));
  EXPECT_EQ(names_of("grid: {cache: {sink: {sinks: [1, 2], window: [8, {range: [16, 32], factor: 2}]}}}"),
            (Texts{"mha/rope/sink(sinks=1,window=8)", "mha/rope/sink(sinks=1,window=16)",
                   "mha/rope/sink(sinks=1,window=32)", "mha/rope/sink(sinks=2,window=8)",
                   "mha/rope/sink(sinks=2,window=16)", "mha/rope/sink(sinks=2,window=32)"}));
  EXPECT_EQ(names_of("grid: {cache: {sink: {sinks: 1, window: 8, positions: [renumbered, original]}}}"),
            (Texts{"mha/rope/sink(positions=renumbered)", "mha/rope/sink(positions=original)"}));
}

TEST(Sweeps, StorageAndOptionsOfInnerMapsVaryAsWell) {
  EXPECT_EQ(names_of("grid: {cache: {full: {storage: [f32, {kivi: {bits: [2, 4]}}]}}}").size(), 3U);
  EXPECT_EQ(names_of("grid: {cache: {full: {storage: {k: {kivi: {bits: [2, 4]}}, v: [f32, int8]}}}}").size(), 4U);
  // A list is one value of an option that is a list.
  EXPECT_EQ(names_of("grid: {cache: {full: {storage: {stepped: {steps: [1, 2, 3]}}}}}").size(), 1U);
  EXPECT_EQ(names_of("grid: {cache: {full: {storage: {stepped: {steps: [[1, 2], [3]]}}}}}").size(), 2U);
  EXPECT_EQ(names_of("grid: {cache: {h2o: {heavy: 4, recent: 4, protect: {first: [0, 4]}}}}"),
            (Texts{"mha/rope/h2o(protect.first=0)", "mha/rope/h2o(protect.first=4)"}));
  EXPECT_EQ(names_of("grid: {cache: {full: {}, layers: {0: {window: {window: [8, 16]}}}}}"),
            (Texts{"mha/rope/full+window(window=8)@0", "mha/rope/full+window(window=16)@0"}));
}

TEST(Sweeps, AListIsOneValueWhereTheOptionIsAList) {
  EXPECT_EQ(names_of("grid: {position: {rope: {factors: [1.0, 2.0]}}}"), (Texts{"mha/rope/full"}));
  EXPECT_EQ(names_of("grid: {position: {rope: {factors: [[1.0, 2.0], [1.0, 4.0]]}}}"),
            (Texts{"mha/rope(factors=[1,2])/full", "mha/rope(factors=[1,4])/full"}));
}

TEST(Sweeps, ZipMovesOptionsTogether) {
  EXPECT_EQ(names_of("grid: {cache: {h2o: {zip: {heavy: [8, 16], recent: [24, 16]}}}}"),
            (Texts{"mha/rope/h2o(heavy=8,recent=24)", "mha/rope/h2o(heavy=16,recent=16)"}));
  EXPECT_EQ(names_of("grid: {cache: {h2o: {zip: {heavy: [8, 16], recent: {range: [24, 48], factor: 2}},"
                     " protect: {first: [0, 4]}}}}")
                .size(),
            4U);
}

TEST(Sweeps, ZipWithoutListsOfEqualLengthIsAnErrorWithItsPlace) {
  const std::string form = "; write zip: {FIRST: [8, 16], SECOND: [24, 16]}, lists of equal length";
  EXPECT_EQ(fault("grid: {cache: {h2o: {zip: {heavy: [8, 16], recent: [24]}}}}"),
            "f.yaml:1:52: zip: recent has 1 values, and heavy has 2" + form);
  EXPECT_EQ(fault("grid: {cache: {h2o: {zip: {heavy: 8}}}}"), "f.yaml:1:35: zip: heavy: expected a list, got 8" + form);
  EXPECT_EQ(fault("grid: {cache: {h2o: {zip: [8]}}}"), "f.yaml:1:27: zip: expected a map of lists, got a list" + form);
  EXPECT_EQ(fault("grid: {cache: {h2o: {heavy: 4, zip: {heavy: [8]}}}}"),
            "f.yaml:1:38: zip: \"heavy\" stands beside it too; write it once");
  EXPECT_EQ(fault("grid: {cache: {h2o: {zip: {hevy: [8]}}}}"),
            "f.yaml:1:28: unknown option \"hevy\" of \"h2o\"; did you mean \"heavy\"?");
}

TEST(Sweeps, AValueOfAListThatIsWrongIsNamedWithItsPlace) {
  EXPECT_EQ(fault("grid: {cache: {window: {window: [8, 0]}}}"), "f.yaml:1:37: window: 0 is less than 1");
  EXPECT_EQ(fault("grid: {cache: {window: {window: []}}}"), "f.yaml:1:33: window: the list is empty");
}

TEST(Sweeps, AreNoSingleArmAndNoBaseline) {
  EXPECT_EQ(fault("- cache: {window: {window: [8, 64]}}\n"),
            "f.yaml:1:28: a range or a list makes several arms, and this is one arm; write it in a grid");
  config::ProblemList problems;
  EXPECT_FALSE(read_pattern(config::parse_text("{cache: {window: {window: [8, 64]}}}", "f.yaml"), "baseline",
                            sample_lookup(), problems));
  EXPECT_EQ(problems.size(), 1U);
}

TEST(Sweeps, ExclusionsTakeListsToo) {
  EXPECT_EQ(
      names_of("grid: {cache: {window: {window: [8, 16, 32, 64]}}}\nexclude: [{cache: {window: {window: [8, 32]}}}]\n"),
      (Texts{"mha/rope/window(window=16)", "mha/rope/window(window=64)"}));
}

}  // namespace
}  // namespace attnlab::experiment
