// Experiments in several files: what is merged, where values say they come from, and what is refused.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "config/include.h"
#include "config/scalars.h"
#include "study/spec.h"
#include "unit/spec_samples.h"

namespace attnlab::experiment {
namespace {

namespace fs = std::filesystem;

class Include : public testing::Test {
 protected:
  Include() : folder_(fs::path(testing::TempDir()) / ("attnlab_include_" + std::to_string(getpid()))) {
    fs::create_directories(folder_ / "base");
  }
  ~Include() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  std::string merged(const std::string& name) const {
    return config::to_json(config::parse_with_includes(folder_ / name)).dump();
  }
  template <class Function>
  std::string error(const Function& function) const {
    std::string text = error_of(function);
    const std::string prefix = folder_.string() + "/";
    for (std::size_t at = 0; (at = text.find(prefix, at)) != std::string::npos;) text.erase(at, prefix.size());
    return text;
  }
  std::string file_error(const std::string& name) const {
    return error([&] { (void)config::parse_with_includes(folder_ / name); });
  }

  fs::path folder_;
};

TEST_F(Include, MapsAreMergedAndEverythingElseIsReplaced) {
  write("a.yaml", "include: base/b.yaml\na: 1\nm: {y: 2, deep: {q: 9}}\nl: [3]\n");
  write("base/b.yaml", "a: 0\nb: 5\nm: {x: 1, y: 1, deep: {p: 8}}\nl: [1, 2]\n");
  EXPECT_EQ(merged("a.yaml"), R"({"a":1,"b":5,"m":{"x":1,"y":2,"deep":{"p":8,"q":9}},"l":[3]})");
}

TEST_F(Include, LaterFilesWinOverEarlierOnesAndNullDrops) {
  write("a.yaml", "include: [b.yaml, c.yaml]\nz: ~\nown: ~\n");
  write("b.yaml", "x: 1\ny: 1\nz: 1\n");
  write("c.yaml", "y: 2\n");
  EXPECT_EQ(merged("a.yaml"), R"({"x":1,"y":2,"own":null})");
}

TEST_F(Include, FilesMayIncludeFilesAndTheSameOneTwice) {
  write("a.yaml", "include: [base/b.yaml, base/c.yaml]\n");
  write("base/b.yaml", "include: d.yaml\nb: 1\n");
  write("base/c.yaml", "include: d.yaml\nc: 1\n");
  write("base/d.yaml", "d: 1\n");
  EXPECT_EQ(merged("a.yaml"), R"({"d":1,"b":1,"c":1})");
}

TEST_F(Include, ValuesKeepTheirFileAndPathsAreRelativeToIt) {
  write("base/b.yaml", "model: tiny.yaml\narms: [{cache: windw}]\nworkloads: [speed: {batch: q1}]\n");
  write("base/tiny.yaml", "hidden_size: 64\n");
  const fs::path file = write("a.yaml", "include: base/b.yaml\nname: x\n");
  const SpecDocument document = open_spec(file);
  EXPECT_EQ(document.model.path, folder_ / "base/tiny.yaml");
  EXPECT_EQ(error([&] { (void)read_spec(document, sample_lookup()); }),
            "base/b.yaml:2:16: unknown component \"windw\"; did you mean \"window\"?");
}

TEST_F(Include, ProblemsOfAllFilesAreReportedAtOnce) {
  write("base/tiny.yaml", "hidden_size: 64\n");
  write("base/b.yaml", "model: tyni.yaml\narms: [{cache: windw}]\nworkloads: [speed: {batch: q1}]\n");
  const fs::path file = write("a.yaml", "include: base/b.yaml\nname: x\nseed: -1\n");
  EXPECT_EQ(error([&] { (void)read_spec(open_spec(file), sample_lookup()); }),
            "base/b.yaml:1:8: model: there is no file or folder \"base/tyni.yaml\"; did you mean \"tiny.yaml\"?\n"
            "base/b.yaml:2:16: unknown component \"windw\"; did you mean \"window\"?\n"
            "a.yaml:3:7: seed: -1 is less than 0");
}

TEST_F(Include, FilesThatAreNoYamlAreAllNamed) {
  write("a.yaml", "include: [b.yaml, gone.yaml, base, c.yaml, 3]\n");
  write("b.yaml", "a: [1\n");
  write("c.yaml", "- 1\n");
  EXPECT_EQ(file_error("a.yaml"),
            "b.yaml:1:4: not valid YAML: this [ is not closed\n"
            "a.yaml:1:19: include: \"gone.yaml\" is not there; paths are relative to the file that names them\n"
            "a.yaml:1:30: include: \"base\" is a folder; paths are relative to the file that names them\n"
            "a.yaml:1:44: include: expected text, got 3; put it in quotes\n"
            "c.yaml:1:1: an included file: expected a map, got a list");
}

TEST_F(Include, CyclesAreNamedWithTheirChain) {
  write("a.yaml", "include: b.yaml\n");
  write("b.yaml", "x: 1\ninclude: base/c.yaml\n");
  write("base/c.yaml", "include: ../b.yaml\n");
  EXPECT_EQ(file_error("a.yaml"),
            "base/c.yaml:1:10: include: the files include each other: b.yaml -> base/c.yaml -> b.yaml; leave one of "
            "them out");
  write("self.yaml", "include: self.yaml\n");
  EXPECT_EQ(file_error("self.yaml"),
            "self.yaml:1:10: include: the files include each other: self.yaml -> self.yaml; leave one of them out");
}

TEST_F(Include, ChainsAndNumbersOfFilesEnd) {
  for (int i = 0; i < 20; ++i)
    write("deep" + std::to_string(i) + ".yaml", "include: deep" + std::to_string(i + 1) + ".yaml\n");
  EXPECT_EQ(file_error("deep0.yaml"), "deep15.yaml:1:10: include: more than 16 files in a row") << "16 were read";
  for (int i = 0; i < 10; ++i) {
    const std::string next = "wide" + std::to_string(i + 1) + ".yaml";
    write("wide" + std::to_string(i) + ".yaml", "include: [" + next + ", " + next + "]\n");
  }
  write("wide10.yaml", "x: 1\n");
  const std::string text = file_error("wide0.yaml");
  EXPECT_NE(text.find("include: more than 64 files in all"), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
}

TEST_F(Include, CannotBeSetFromTheCommandLine) {
  const fs::path file = write("a.yaml", "name: x\n");
  write("b.yaml", "seed: 2\n");
  EXPECT_NE(error([&] {
              (void)read_spec(open_spec(file, {"include=b.yaml"}), sample_lookup());
            }).find("--set include=b.yaml: include: files are included before values are set; write it in the file"),
            std::string::npos);
}

TEST_F(Include, PathsTakeVariablesOfTheEnvironment) {
  write("base/tiny.yaml", "hidden_size: 64\n");
  setenv("ATTNLAB_TEST_BASE", "base", 1);
  setenv("ATTNLAB_TEST_NAME", "tiny", 1);
  unsetenv("ATTNLAB_TEST_GONE");
  const std::string rest = "arms: [{}]\nworkloads: [speed: {batch: q1}]\nname: x\n";
  const auto model = [&](const std::string& path) {
    const SpecDocument document = open_spec(write("f.yaml", "model: " + path + "\n" + rest));
    document.problems.throw_if_any();
    return document.model.path;
  };
  EXPECT_EQ(model("${ATTNLAB_TEST_BASE}/${ATTNLAB_TEST_NAME}.yaml"), folder_ / "base/tiny.yaml");
  EXPECT_EQ(
      error([&] { (void)model("base/${ATTNLAB_TEST_GONE}/m"); }),
      "f.yaml:1:13: model: the variable ATTNLAB_TEST_GONE is not set; set it: ATTNLAB_TEST_GONE=FOLDER attnlab ...");
  EXPECT_EQ(error([&] { (void)model("\"${ATTNLAB_TEST_GONE}\""); }).substr(0, 12), "f.yaml:1:9: ");
  EXPECT_EQ(error([&] { (void)model("a/${b"); }),
            "f.yaml:1:10: model: \"${b\" is no variable; write ${NAME}, with letters, digits and _");
  EXPECT_EQ(error([&] { (void)model("'${}'"); }),
            "f.yaml:1:9: model: \"${}\" is no variable; write ${NAME}, with letters, digits and _");
  EXPECT_EQ(
      read_spec(open_spec(write("f.yaml", "model: base/tiny.yaml\nquestion: \"${HOME}?\"\n" + rest)), sample_lookup())
          .question,
      "${HOME}?")
      << "only paths take variables";
}

// A job of a study reads the files as they were when it was submitted.
TEST_F(Include, ReadsTheTextsThatWereKept) {
  write("base.yaml", "b: 1\n");
  write("top.yaml", "include: base.yaml\na: 1\n");
  config::FileTexts texts;
  const std::string before = config::to_json(config::parse_with_includes(folder_ / "top.yaml", &texts)).dump();
  EXPECT_EQ(texts.texts.size(), 2U);
  write("top.yaml", "no: yaml: at all");
  std::filesystem::remove(folder_ / "base.yaml");
  texts.are_kept = true;
  EXPECT_EQ(config::to_json(config::parse_with_includes(folder_ / "top.yaml", &texts)).dump(), before);
  texts.texts.erase(texts.texts.begin());
  EXPECT_THROW((void)config::parse_with_includes(folder_ / "top.yaml", &texts), Error);
}

}  // namespace
}  // namespace attnlab::experiment
