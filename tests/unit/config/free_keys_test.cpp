// x-... keys: places for YAML anchors in every map that a table of keys describes.
#include <gtest/gtest.h>

#include "config/map_reader.h"
#include "study/arms.h"
#include "study/spec_keys.h"
#include "unit/spec_samples.h"

namespace attnlab::experiment {
namespace {

TEST(FreeKeys, AreIgnoredAndTheirAliasesHold) {
  const config::Node root = config::parse_text(
      "x-small: &small {window: 8}\n"
      "x-grid: &grid {cache: [full, {window: *small}], x-note: which cells}\n"
      "name: study\nmodel: tiny\nworkloads: []\narms: {grid: *grid}\n",
      "f.yaml");
  config::ProblemList problems;
  config::MapReader reader(root, "the experiment", experiment_keys(), problems);
  reader.finish();
  std::vector<std::string> names;
  for (const Arm& arm : read_arms(*root.find("arms"), sample_lookup(), {}, problems)) names.push_back(arm.name);
  problems.throw_if_any();
  EXPECT_EQ(names, (std::vector<std::string>{"mha/rope/full", "mha/rope/window"}));
}

TEST(FreeKeys, AreNoMisspellingsOfOthersAndOthersAreStillUnknown) {
  const config::Node root = config::parse_text("x-name: 1\nxname: 2\n", "f.yaml");
  config::ProblemList problems;
  config::MapReader reader(root, "the experiment", experiment_keys(), problems);
  reader.finish();
  const std::string all = error_of([&] { problems.throw_if_any(); });
  EXPECT_NE(all.find("unknown key \"xname\" of the experiment; did you mean \"name\"?"), std::string::npos) << all;
  EXPECT_EQ(all.find("x-name"), std::string::npos) << all;
}

}  // namespace
}  // namespace attnlab::experiment
