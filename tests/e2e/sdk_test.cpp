// The SDK as a third party uses it: a bare source in `plugins:`, a project of `attnlab new`, a project of one's own
// against an installed AttnLab. Nothing of AttnLab is built here; plugins are, with the compiler that built it.
#include <algorithm>
#include <cmath>
#include <cstring>

#include <nlohmann/json.hpp>

#include <attnlab/fingerprint.h>

#include "e2e/experiments.h"
#include "model/checkpoints/safetensors.h"

namespace attnlab::program_test {
namespace {

const fs::path kConsumer = fs::path(ATTNLAB_SOURCE_DIR) / "tests" / "sdk_consumer";

/// A folder to work in, and one for what the program keeps, so that no test finds what another has compiled.
class SdkTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("XDG_CACHE_HOME", kept_.path().c_str(), 1);
    unsetenv("ATTNLAB_PLUGIN_CXXFLAGS");
  }

  void copy_consumer() const { fs::copy(kConsumer, sandbox_.path(), fs::copy_options::recursive); }

  // What was compiled, by name and time.
  [[nodiscard]] std::map<std::string, fs::file_time_type> kept_objects() const {
    std::map<std::string, fs::file_time_type> objects;
    for (const auto& entry : fs::recursive_directory_iterator(kept_.path()))
      if (entry.path().extension() == ".so") objects[entry.path().filename().string()] = entry.last_write_time();
    return objects;
  }

  // A line for the shell, in the sandbox, both outputs in one.
  [[nodiscard]] Outcome shell(const std::string& line) const {
    const fs::path said = kept_ / "said.txt";
    const int status =
        std::system(("cd '" + sandbox_.path().string() + "' && (" + line + ") >'" + said.string() + "' 2>&1").c_str());
    Outcome outcome;
    if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
    outcome.out = read_file(said);
    return outcome;
  }
  void expect_shell(const std::string& line, const std::vector<std::string>& mentions = {}) const {
    const Outcome outcome = shell(line);
    EXPECT_EQ(outcome.exit_code, 0) << line << '\n' << outcome;
    expect_mentions(outcome.out, mentions);
  }

  // Installs into `prefix` of the sandbox; configures and builds a folder of the sandbox against it.
  void install() const {
    expect_shell("cmake --install '" + std::string(ATTNLAB_BINARY_DIR) + "' --prefix '" +
                 (sandbox_ / "prefix").string() + "'");
  }
  void build(const std::string& folder) const {
    const auto sdk = nlohmann::json::parse(read_file(fs::path(ATTNLAB_BINARY_DIR) / "lib/attnlab/sdk.json"));
    expect_shell("cmake -G Ninja -S " + folder + " -B " + folder + "/build -DCMAKE_PREFIX_PATH='" +
                 (sandbox_ / "prefix").string() + "' -DCMAKE_CXX_COMPILER='" + sdk.at("compiler").get<std::string>() +
                 "' && cmake --build " + folder + "/build");
  }

  // Every row of the table is a measurement, and there are `arms` arms.
  void expect_results(const fs::path& folder, std::size_t arms) const {
    const CsvTable summary = summary_of(folder);
    EXPECT_EQ(summary.distinct("arm").size(), arms);
    EXPECT_GE(summary.rows(), arms);
    for (std::size_t row = 0; row < summary.rows(); ++row) EXPECT_EQ(summary.at(row, "status"), "ok") << row;
  }

  Sandbox sandbox_;
  Sandbox kept_;
};

std::string study(const std::string& plugins) {
  return Experiment{.arms =
                        "[{attention: gqa}, {attention: tempered}, {position: nearby}, "
                        "{cache: {strided: {recent: 4, stride: 4}}}, "
                        "{cache: {full: {storage: {minifloat: {mantissa: 2}}}}}]",
                    .workloads = "[{speed: {batch: [q24, q1s32]}}]",
                    .more = "plugins: [" + plugins + "]"}
      .yaml();
}

class PluginSources : public SdkTest {};

TEST_F(PluginSources, OfEveryKindRunFromAnExperimentsList) {
  copy_consumer();
  sandbox_.write("study.yaml", study("tempered.cpp, nearby.cpp, strided.cpp, minifloat.cpp"));
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "out"}));
  expect_results(sandbox_ / "out", 5);
  EXPECT_EQ(kept_objects().size(), 4U);
  for (const char* file : {"tempered.cpp", "nearby.cpp", "strided.cpp", "minifloat.cpp"}) {
    const std::vector<std::string> lines = lines_of(read_file(sandbox_ / file));
    EXPECT_LT(lines.size(), 150U) << file;
    for (const std::string& line : lines) {
      if (line.starts_with("#include \"")) {
        EXPECT_EQ(line, "#include \"nearby.h\"") << file << ": of the host";
      }
    }
  }
}

// A byte for each number and a scale for each row, and a storage that keeps what it declares.
TEST_F(PluginSources, OfAStorageKeepTheLawsOfStorages) {
  copy_consumer();
  const Outcome checked = sandbox_.run({"check", "minifloat.cpp"});
  expect_well(checked);
  expect_mentions(checked.out, {"storage minifloat", "1 component checked, 0 laws broken"});
}

TEST_F(PluginSources, AreTakenByEveryCommandThatTakesPlugins) {
  copy_consumer();
  const std::string file = (sandbox_ / "nearby.cpp").string();
  const Outcome described = sandbox_.run({"describe", "nearby", "--plugin", file});
  expect_well(described);
  expect_mentions(described.out, {"position nearby", "near (integer, from 0", "default 16"});
  expect_mentions(sandbox_.run({"list", "position", "--plugin", "nearby.cpp"}).out, {"nearby"});
  expect_well(sandbox_.run({"logits", kTinyModel, "--prompt", "abc", "-o", "out.safetensors", "--plugin", file,
                            "--position", "{nearby: {near: 2}}"}));
  expect_well(sandbox_.run(
      {"generate", kTinyModel, "--prompt", "abc", "-n", "2", "--plugin", "nearby.cpp", "--position", "nearby"}));
  EXPECT_EQ(kept_objects().size(), 1U);
}

TEST_F(PluginSources, AreCompiledAgainOnlyWhenSomethingIsAnother) {
  copy_consumer();
  const auto list = [&] { expect_well(sandbox_.run({"list", "--plugin", "nearby.cpp"})); };
  list();
  const auto first = kept_objects();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_TRUE(first.begin()->first.starts_with("nearby-")) << first.begin()->first;
  list();
  EXPECT_EQ(kept_objects(), first);
  // The source, a file that it includes, the flags.
  const std::string source = read_file(sandbox_ / "nearby.cpp");
  sandbox_.write("nearby.cpp", source + "// as before\n");
  list();
  EXPECT_EQ(kept_objects().size(), 2U);
  sandbox_.write("nearby.h", read_file(sandbox_ / "nearby.h") + "// as before\n");
  list();
  EXPECT_EQ(kept_objects().size(), 3U);
  setenv("ATTNLAB_PLUGIN_CXXFLAGS", "-O0 -g", 1);
  list();
  EXPECT_EQ(kept_objects().size(), 4U);
  unsetenv("ATTNLAB_PLUGIN_CXXFLAGS");
  list();
  EXPECT_EQ(kept_objects().size(), 4U);
}

TEST_F(PluginSources, ThatDoNotCompileShowWhatTheCompilerSays) {
  sandbox_.write("wrong.cpp", "#include <attnlab/plugin.h>\n\nint number = nobody_declared_this;\n");
  sandbox_.write("study.yaml", study("wrong.cpp"));
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"validate", "study.yaml"}, {"run", "study.yaml", "-o", "out"}, {"list", "--plugin", "wrong.cpp"}}) {
    expect_refused(sandbox_, command, {"wrong.cpp: does not compile"});
    expect_mentions(sandbox_.run(command).err, {"wrong.cpp:3:14: error: ", "nobody_declared_this"});
  }
  EXPECT_TRUE(kept_objects().empty());
}

TEST_F(PluginSources, AllSayAtOnceWhatIsWrongWithThem) {
  sandbox_.write("one.cpp", "int one = two;\n");
  sandbox_.write("other.cpp", "int other = three;\n");
  const Outcome outcome = sandbox_.run({"list", "--plugin", "one.cpp", "other.cpp"});
  expect_wrong_input(outcome, {"one.cpp: does not compile"});
  expect_mentions(outcome.err, {"other.cpp: does not compile", "one.cpp:1:", "other.cpp:1:"});
}

TEST_F(PluginSources, ThatCallWhatNobodyHasDoNotLink) {
  sandbox_.write("calls.cpp", "void nobody_has_this();\nvoid call() { nobody_has_this(); }\nauto* used = &call;\n");
  expect_refused(sandbox_, {"list", "--plugin", "calls.cpp"}, {"calls.cpp"});
  expect_mentions(sandbox_.run({"list", "--plugin", "calls.cpp"}).err, {"nobody_has_this"});
}

TEST_F(PluginSources, ThatAreNoPluginsAreRefusedByTheirOwnName) {
  sandbox_.write("plain.cpp", "int number = 1;\n");
  expect_refused(sandbox_, {"list", "--plugin", "plain.cpp"}, {"plain.cpp: plugin refused", "no AttnLab stamp"});
  expect_refused(sandbox_, {"list", "--plugin", "missing.cpp"}, {"missing.cpp: plugin refused", "cannot be read"});
}

TEST_F(PluginSources, AreKeptBesideThemselvesWhereThereIsNoHome) {
  copy_consumer();
  setenv("XDG_CACHE_HOME", "/proc/nowhere", 1);
  const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
  setenv("HOME", "/proc/nowhere", 1);
  expect_well(sandbox_.run({"list", "--plugin", "nearby.cpp"}));
  setenv("HOME", home.c_str(), 1);
  EXPECT_TRUE(kept_objects().empty());
  EXPECT_TRUE(fs::is_directory(sandbox_ / ".attnlab/plugins"));
}

TEST_F(PluginSources, WhoseKeptObjectIsDamagedAreCompiledAgain) {
  copy_consumer();
  expect_well(sandbox_.run({"list", "--plugin", "nearby.cpp"}));
  const fs::path object = kept_ / "attnlab/plugins" / kept_objects().begin()->first;
  fs::resize_file(object, 1000);
  expect_well(sandbox_.run({"list", "--plugin", "nearby.cpp"}));
  EXPECT_GT(fs::file_size(object), 1000U);
}

TEST_F(PluginSources, MayBeAskedForByTwoRunsAtOnce) {
  copy_consumer();
  const std::string list = "'" + std::string(ATTNLAB_PROGRAM) + "' list position --plugin nearby.cpp";
  expect_shell(list + " & one=$!; " + list + " && wait $one", {"nearby"});
  EXPECT_EQ(kept_objects().size(), 1U);
}

class EveryNewProject : public SdkTest, public testing::WithParamInterface<const char*> {
 protected:
  [[nodiscard]] std::string kind() const { return GetParam(); }
};

TEST_P(EveryNewProject, RunsAsItIsAndIsShort) {
  expect_well(sandbox_.run({"new", kind(), "my_idea"}));
  EXPECT_LE(lines_of(read_file(sandbox_ / "my_idea/my_idea.cpp")).size(), 60U);
  for (const std::string& file : sandbox_.files())
    if (fs::is_regular_file(sandbox_ / file)) {
      EXPECT_EQ(read_file(sandbox_ / file).find("@"), std::string::npos) << file << " has an unfilled mark";
    }
  expect_well(sandbox_.run({"validate", "my_idea/my_idea.yaml"}));
  expect_well(sandbox_.run({"run", "my_idea/my_idea.yaml", "-o", "out", "--set", "repeats=1"}));
  expect_results(sandbox_ / "out", 2);
}

TEST_P(EveryNewProject, BuildsAndRunsAgainstAnInstalledSdk) {
  install();
  expect_shell("prefix/bin/attnlab new " + kind() + " my_idea");
  build("my_idea");
  const std::string object = "my_idea/build/plugins/my_idea.so";
  expect_shell(
      "prefix/bin/attnlab run my_idea/my_idea.yaml -o out --set repeats=1 "
      "--set 'plugins=[build/plugins/my_idea.so]'");
  expect_results(sandbox_ / "out", 2);
  EXPECT_TRUE(kept_objects().empty());
  if (shell("prefix/bin/attnlab check --help").exit_code == 0) expect_shell("prefix/bin/attnlab check " + object);
}

INSTANTIATE_TEST_SUITE_P(, EveryNewProject, testing::Values("attention", "position", "cache", "storage"),
                         [](const auto& test) { return std::string(test.param); });

class NewProjects : public SdkTest {};

TEST_F(NewProjects, HaveProperNamesThatNobodyHas) {
  for (const char* name : {"Mine", "9th", "my-idea", "my idea", "", "../mine", "_mine", "m\xC3\xA4rz"})
    expect_refused(sandbox_, {"new", "cache", name, "folder"}, {"is no name of a component"});
  expect_refused(sandbox_, {"new", "cache", "test", "folder"}, {"\"test\"", "CMake"});
  for (const char* name : {"gqa", "rope", "sink"})
    expect_refused(sandbox_, {"new", "cache", name, "folder"}, {name, "already there", std::string(name) + ".so"});
  expect_refused(sandbox_, {"new", "cahce", "mine"}, {"cahce", "cache"});
  expect_refused(sandbox_, {"new", "cache"}, {"NAME"});
}

TEST_F(NewProjects, TouchNoFolderThatHoldsSomething) {
  sandbox_.write("full/note.txt", "mine\n");
  sandbox_.write("file", "mine\n");
  expect_refused(sandbox_, {"new", "cache", "mine", "full"}, {"full", "not empty"});
  expect_refused(sandbox_, {"new", "cache", "mine", "file"}, {"file", "no folder"});
  expect_refused(sandbox_, {"new", "cache", "mine", "file/below"}, {"file/below"});
  fs::create_directory(sandbox_ / "empty");
  expect_well(sandbox_.run({"new", "cache", "mine", "empty"}));
  EXPECT_TRUE(fs::exists(sandbox_ / "empty/mine.cpp"));
}

class InstalledSdk : public SdkTest {
 protected:
  void SetUp() override {
    SdkTest::SetUp();
    install();
    fs::copy(kConsumer, sandbox_ / "project", fs::copy_options::recursive);
    sandbox_.write("project/study.yaml", study("build/plugins"));
  }
  void edit_header() const {
    const fs::path header = sandbox_ / "prefix/include/attnlab/scratch.h";
    std::ofstream(header, std::ios::app) << "// another SDK\n";
  }
};

TEST_F(InstalledSdk, BuildsRunsAndTestsPluginsOfEveryKindAndMayBeMoved) {
  build("project");
  expect_shell("ctest --test-dir project/build --output-on-failure", {"nearby_test"});
  fs::rename(sandbox_ / "prefix", sandbox_ / "moved");
  const std::string program = (sandbox_ / "moved/bin/attnlab").string();
  expect_shell(program + " describe gqa", {(sandbox_ / "moved").string()});
  expect_shell(program + " run project/study.yaml -o out");
  expect_results(sandbox_ / "out", 5);
  EXPECT_TRUE(kept_objects().empty());
  // Its own SDK, too, is found from where it is.
  expect_shell(program + " list --plugin project/nearby.cpp", {"nearby"});
  EXPECT_EQ(kept_objects().size(), 1U);
}

// Both ways to a plugin notice it: the shared object by its stamp, the source before it is compiled.
TEST_F(InstalledSdk, WhoseHeaderWasEditedMakesPluginsThatAreRefused) {
  build("project");
  edit_header();
  expect_shell("cmake --build project/build");
  const std::string list = "ATTNLAB_PLUGIN_PATH=project/build/plugins prefix/bin/attnlab list";
  const std::string ours =
      "SDK " ATTNLAB_SDK_VERSION " (" + std::string(ATTNLAB_SDK_FINGERPRINT).substr(0, 8) + ")  " + ATTNLAB_TOOLCHAIN;
  const Outcome listed = shell(list);
  EXPECT_EQ(listed.exit_code, 0) << listed;
  expect_mentions(listed.out, {"plugin refused: project/build/plugins/nearby.so\n  built against   SDK ",
                               "\n  this program    " + ours,
                               "\n  remedy          rebuild it against this SDK: cmake --build build --target nearby\n",
                               "\n  effect          ", "tempered.so", "strided.so", "minifloat.so"});
  const std::string theirs = listed.out.substr(listed.out.find("built against"), 60);
  EXPECT_EQ(theirs.find(std::string(ATTNLAB_SDK_FINGERPRINT).substr(0, 8)), std::string::npos) << theirs;
  const Outcome run = shell("prefix/bin/attnlab run project/study.yaml -o out");
  EXPECT_EQ(run.exit_code, 2) << run;
  expect_mentions(run.out, {"plugin refused", "another SDK"});
  const Outcome source = shell("prefix/bin/attnlab list --plugin project/nearby.cpp");
  EXPECT_EQ(source.exit_code, 2) << source;
  expect_mentions(source.out, {"project/nearby.cpp: plugin refused: another SDK", "include/attnlab/scratch.h"});
  EXPECT_TRUE(kept_objects().empty());
}

// The guide's rotation is a file of the tests: it is compiled as it stands, keeps the laws, and turns as rope does.
TEST_F(PluginSources, OfTheGuidesRotationTurnAsRopeDoes) {
  copy_consumer();
  const std::string guide = read_file(fs::path(ATTNLAB_SOURCE_DIR) / "docs" / "position.md");
  EXPECT_NE(guide.find("```cpp\n" + read_file(sandbox_ / "turned.cpp") + "```\n"), std::string::npos);
  expect_well(sandbox_.run({"check", "turned.cpp"}));
  const auto logits = [&](const std::string& position) {
    expect_well(sandbox_.run({"logits", kTinyModel, "--prompt", "abcdefgh", "-o", "out.safetensors", "--plugin",
                              "turned.cpp", "--position", position}));
    const model::SafetensorsFile file = model::SafetensorsFile::open(sandbox_ / "out.safetensors");
    const auto bytes = file.bytes(*file.find("logits"));
    std::vector<float> all(bytes.size() / sizeof(float));
    std::memcpy(all.data(), bytes.data(), bytes.size());
    return all;
  };
  for (const auto& [mine, theirs] : {std::pair<std::string, std::string>{"turned", "rope"},
                                     {"{turned: {interleaved: true}}", "{rope: {traditional: true}}"},
                                     {"{turned: {share: 0.5}}", "{rope: {partial_rotary_factor: 0.5}}"}}) {
    const std::vector<float> one = logits(mine), other = logits(theirs);
    ASSERT_EQ(one.size(), other.size());
    float farthest = 0;
    for (std::size_t i = 0; i < one.size(); ++i) farthest = std::max(farthest, std::abs(one[i] - other[i]));
    EXPECT_LT(farthest, 1e-4F) << mine;
  }
  EXPECT_NE(logits("turned"), logits("{turned: {interleaved: true}}"));
}

// The author's guide shows what `attnlab new` writes, and the other tests see that it works.
TEST_F(NewProjects, AreTheWorkedExamplesOfTheGuide) {
  for (const auto& [kind, name] : std::map<std::string, std::string>{
           {"attention", "bent"}, {"position", "log_distance"}, {"cache", "thinning"}, {"storage", "companded"}}) {
    expect_well(sandbox_.run({"new", kind, name}));
    const std::string page = read_file(fs::path(ATTNLAB_SOURCE_DIR) / "docs" / (kind + ".md"));
    const std::string written = read_file(sandbox_ / name / (name + ".cpp"));
    EXPECT_NE(page.find("```cpp\n" + written + "```\n"), std::string::npos) << kind;
  }
}

}  // namespace
}  // namespace attnlab::program_test
