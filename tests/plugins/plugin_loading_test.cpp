// The handshake: what is taken in, what is refused, and in which words. Refused plugins are built for the purpose
// (broken/), or are files that are no plugins at all.
#include <elf.h>
#include <fstream>
#include <iterator>

#include <cstring>

#include "golden/program.h"
#include "registry/registry.h"
#include "registry/stamp.h"

namespace attnlab::program_test {
namespace {

fs::path broken(const std::string& name) {
  return fs::path(ATTNLAB_BINARY_DIR) / "tests" / "plugins" / name / (name + ".so");
}

fs::path built_in_folder() {
  return fs::path(ATTNLAB_PROGRAM).parent_path().parent_path() / "plugins";
}

Registry load(const std::vector<fs::path>& folders, const std::vector<fs::path>& files) {
  return Registry::load(folders, files);
}

// Ids of all kinds.
std::set<std::string> components_of(const Registry& registry) {
  std::set<std::string> ids;
  for (const Descriptor& component : registry.components()) ids.insert(component.id);
  return ids;
}

struct Mistake {
  std::string plugin;
  std::vector<std::string> mentions;    // in the one line of the reason
  std::vector<std::string> components;  // that must not be there
  friend std::ostream& operator<<(std::ostream& stream, const Mistake& test) { return stream << test.plugin; }
};

std::vector<Mistake> every_mistake() {
  const std::string rebuild = "rebuild it against this SDK";
  return {
      {"no_stamp", {"no AttnLab stamp", "ATTNLAB_PLUGIN"}, {"no_stamp_cache"}},
      {"two_stamps", {"two stamps", "ATTNLAB_PLUGIN"}, {"two_stamps_cache"}},
      {"other_sdk",
       {"another SDK", "01234567", std::string(ATTNLAB_SDK_FINGERPRINT).substr(0, 8), rebuild, "other_sdk"},
       {"other_sdk_cache"}},
      {"other_version",
       {"another SDK", "99.0.0", ATTNLAB_SDK_VERSION, rebuild, "other_version"},
       {"other_version_cache"}},
      {"other_toolchain",
       {"another toolchain", "clang 99 libc++", ATTNLAB_TOOLCHAIN, rebuild, "other_toolchain"},
       {"other_toolchain_cache"}},
      {"no_symbol", {"attnlab_plugin"}, {}},
      {"undefined_symbol", {"cannot be loaded", "attnlab_test_function_that_nobody_has"}, {"needy"}},
      {"duplicate_full", {"cache \"full\"", "already there", "full.so", "rename"}, {"beside_duplicate"}},
      {"no_functions", {"\"hollow\"", "lacks a function"}, {"hollow", "beside_hollow"}},
      {"option_twice", {"\"twice\"", "\"size\" twice"}, {"twice"}},
  };
}

class EveryBrokenPlugin : public testing::TestWithParam<Mistake> {
 protected:
  void SetUp() override { ASSERT_TRUE(fs::exists(broken(GetParam().plugin))) << broken(GetParam().plugin); }
  Sandbox sandbox_;
};

TEST_P(EveryBrokenPlugin, IsRefusedWithBothSidesAndTheRemedy) {
  const Registry without = load({built_in_folder()}, {});
  ASSERT_TRUE(without.refusals().empty());
  const Registry registry = load({built_in_folder(), broken(GetParam().plugin).parent_path()}, {});
  ASSERT_EQ(registry.refusals().size(), 1U);
  const Refusal& refusal = registry.refusals().front();
  EXPECT_EQ(refusal.file, broken(GetParam().plugin));
  EXPECT_EQ(refusal.name, GetParam().plugin);
  EXPECT_FALSE(refusal.requested);
  EXPECT_EQ(refusal.reason.find('\n'), std::string::npos);
  expect_mentions(refusal.reason, GetParam().mentions);
  // All or nothing, and the others are as they were.
  EXPECT_EQ(components_of(registry), components_of(without));
  for (const std::string& id : GetParam().components) EXPECT_EQ(components_of(registry).count(id), 0U) << id;
}

TEST_P(EveryBrokenPlugin, IsShownByListWhichGoesOn) {
  const Outcome outcome = sandbox_.run({"list"}, {.plugin_path = broken(GetParam().plugin).parent_path().string()});
  expect_well(outcome);
  expect_mentions(outcome.out, {"gqa", "rope", "sink", "refused", broken(GetParam().plugin).string()});
  expect_mentions(outcome.out, GetParam().mentions);
}

TEST_P(EveryBrokenPlugin, IsAnErrorWhereItIsAskedFor) {
  const std::string file = broken(GetParam().plugin).string();
  std::vector<std::string> parts = GetParam().mentions;
  parts.insert(parts.end(), {file, "plugin refused"});
  sandbox_.write("study.yaml", "name: study\nmodel: " + std::string(ATTNLAB_SOURCE_DIR) +
                                   "/configs/models/tiny.yaml\nplugins: [" + file +
                                   "]\narms: [{attention: gqa}]\nworkloads: [{speed: {batch: [q8]}}]\n");
  expect_refused(sandbox_, {"validate", "study.yaml"}, parts);
  expect_refused(sandbox_, {"run", "study.yaml", "-o", "out"}, parts);
  expect_refused(sandbox_, {"list", "--plugin", file}, parts);
}

TEST_P(EveryBrokenPlugin, IsTheReasonWhyItsComponentIsNotThere) {
  // Found by the name of the plugin, which is all that is known of a file that was not opened.
  const std::string& name = GetParam().plugin;
  sandbox_.write("study.yaml", "name: study\nmodel: " + std::string(ATTNLAB_SOURCE_DIR) +
                                   "/configs/models/tiny.yaml\narms: [{cache: " + name +
                                   "}]\nworkloads: [{speed: {batch: [q8]}}]\n");
  const Surroundings surroundings{.plugin_path = broken(name).parent_path().string()};
  std::vector<std::string> parts = GetParam().mentions;
  parts.insert(parts.end(), {"study.yaml:3:16: ", name, "plugin refused", broken(name).string()});
  expect_refused(sandbox_, {"run", "study.yaml", "-o", "out"}, parts, surroundings);
  expect_refused(sandbox_, {"describe", name}, {broken(name).string(), "plugin refused"}, surroundings);
}

INSTANTIATE_TEST_SUITE_P(, EveryBrokenPlugin, testing::ValuesIn(every_mistake()),
                         [](const auto& test) { return test.param.plugin; });

class Files : public testing::Test {
 protected:
  // A file refused in a folder, and as an argument.
  void expect_refused_file(const fs::path& file, const std::vector<std::string>& parts) const {
    const Registry registry = load({}, {file});
    ASSERT_EQ(registry.refusals().size(), 1U);
    EXPECT_TRUE(registry.components().empty());
    EXPECT_TRUE(registry.refusals().front().requested);
    expect_mentions(registry.refusals().front().reason, parts);
    std::vector<std::string> all = parts;
    all.insert(all.end(), {file.string(), "plugin refused"});
    expect_refused(sandbox_, {"list", "--plugin", file.string()}, all);
  }

  // A copy of a built-in plugin with its stamp changed by `edit`.
  template <class Edit>
  fs::path with_stamp(const std::string& name, const Edit& edit) const {
    std::string bytes = read_file(built_in_folder() / "none.so");
    constexpr Stamp ours = make_stamp();
    const std::size_t at = bytes.find(std::string_view(ours.magic, sizeof ours.magic));
    EXPECT_NE(at, std::string::npos);
    Stamp stamp;
    std::memcpy(&stamp, bytes.data() + at, sizeof stamp);
    edit(stamp);
    std::memcpy(bytes.data() + at, &stamp, sizeof stamp);
    return sandbox_.write(name, bytes);
  }

  Sandbox sandbox_;
};

TEST_F(Files, WithTextAreNoPlugins) {
  expect_refused_file(sandbox_.write("text.so", "no machine code\n"), {"not a plugin"});
}

TEST_F(Files, ThatAreEmptyAreNoPlugins) {
  expect_refused_file(sandbox_.write("empty.so", ""), {"not a plugin"});
}

TEST_F(Files, ThatAreNotThereAreNoPlugins) {
  expect_refused_file(sandbox_ / "missing.so", {"cannot be read"});
}

TEST_F(Files, ThatAreProgramsAreNoPlugins) {
  expect_refused_file(ATTNLAB_PROGRAM, {"not a plugin"});
}

TEST_F(Files, OfAnotherProcessorAreNoPlugins) {
  std::string bytes = read_file(built_in_folder() / "none.so");
  bytes[18] = static_cast<char>(bytes[18] == 62 ? 183 : 62);  // e_machine: x86-64, or else AArch64
  expect_refused_file(sandbox_.write("foreign.so", bytes), {});
}

// Mapping a file that ends before its contents do would end the process. The last bytes of all, names for debuggers,
// are not mapped, and a plugin without them is whole.
TEST_F(Files, ThatAreCutOffAreNoPlugins) {
  const std::string whole = read_file(built_in_folder() / "rope.so");
  Elf64_Ehdr header;
  std::memcpy(&header, whole.data(), sizeof header);
  std::size_t mapped = 0;
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr part;
    std::memcpy(&part, whole.data() + header.e_phoff + i * sizeof part, sizeof part);
    if (part.p_type == PT_LOAD) mapped = std::max<std::size_t>(mapped, part.p_offset + part.p_filesz);
  }
  for (const std::size_t size : {mapped / 1000, mapped / 10, mapped / 2, mapped - 4096, mapped - 1}) {
    const fs::path file = sandbox_.write("cut" + std::to_string(size) + ".so", whole.substr(0, size));
    expect_refused_file(file, {"not a plugin"});
  }
}

TEST_F(Files, WhoseStampHasGrownAreRefusedWithBothSizes) {
  expect_refused_file(with_stamp("grown.so", [](Stamp& stamp) { stamp.size = 4096; }),
                      {"4096 bytes", "has " + std::to_string(sizeof(Stamp)), "rebuild"});
}

TEST_F(Files, BuiltForInstructionsThatNobodyHasAreRefused) {
  expect_refused_file(with_stamp("future.so",
                                 [](Stamp& stamp) {
                                   std::memset(stamp.isa, 0, sizeof stamp.isa);
                                   std::strcpy(stamp.isa, "x86-64-v99");
                                 }),
                      {"instruction set", "x86-64-v99", "rebuild"});
}

TEST_F(Files, ThatAreGoodCopiesAreTakenUnderAnyName) {
  const fs::path copy = with_stamp("copy.so", [](Stamp&) {});
  const Registry registry = load({}, {copy});
  EXPECT_TRUE(registry.refusals().empty());
  ASSERT_EQ(registry.components().size(), 1U);
  EXPECT_EQ(registry.components().front().id, "none");
  // Beside the original it is the second of one name.
  expect_refused(sandbox_, {"list", "--plugin", copy.string()},
                 {copy.string(), "position \"none\"", "already there", "none.so"});
}

TEST_F(Files, ThatAreNamedTwiceAreLoadedOnce) {
  const fs::path none = built_in_folder() / "none.so";
  fs::create_symlink(none, sandbox_ / "alias.so");
  const Registry registry = load({built_in_folder()}, {none, none, sandbox_ / "alias.so"});
  EXPECT_TRUE(registry.refusals().empty());
}

TEST_F(Files, OtherThanSharedObjectsAreNotLookedAtInAFolder) {
  sandbox_.write("folder/readme.txt", "hello");
  EXPECT_TRUE(load({sandbox_ / "folder"}, {}).refusals().empty());
  EXPECT_TRUE(load({sandbox_ / "nowhere"}, {}).refusals().empty());
  EXPECT_THROW(load({}, {sandbox_ / "folder/nowhere"}).refusals().at(1), std::out_of_range);
}

TEST(BuiltInPlugins, AreAllTakenIn) {
  const Registry registry = Registry::standard();
  EXPECT_TRUE(registry.refusals().empty());
  const auto has = [&](Kind kind, const std::vector<std::string>& expected) {
    const std::vector<std::string> ids = registry.ids(kind);
    for (const std::string& id : expected) EXPECT_NE(std::find(ids.begin(), ids.end(), id), ids.end()) << id;
  };
  has(Kind::attention, {"gqa", "mha", "mqa"});
  has(Kind::position, {"alibi", "none", "rope", "sinusoidal"});
  has(Kind::cache, {"full", "sink", "window"});
  for (const Descriptor& component : registry.components()) {
    EXPECT_FALSE(component.summary.empty()) << component.id;
    EXPECT_FALSE(component.reference.empty()) << component.id;
    EXPECT_EQ(component.file.stem(), component.plugin);
    for (const OptionSpec& option : component.options)
      EXPECT_FALSE(option.doc.empty()) << component.id << "." << option.name;
  }
}

// Two copies in one process would mean two arenas, two registries and exceptions that are not caught.
TEST(BuiltInPlugins, ShareOneLibrary) {
  const Registry registry = Registry::standard();
  ASSERT_FALSE(registry.components().empty());
  std::set<std::string> libraries;
  std::set<std::string> plugins;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const fs::path file = line.find('/') == std::string::npos ? "" : line.substr(line.find('/'));
    if (file.filename().string().starts_with("libattnlab.so")) libraries.insert(file.string());
    if (file.parent_path().filename() == "plugins") plugins.insert(file.string());
  }
  EXPECT_EQ(libraries.size(), 1U);
  std::set<fs::path> files;
  for (const Descriptor& component : registry.components()) files.insert(component.file);
  EXPECT_EQ(plugins.size(), files.size());
}

class Factories : public testing::Test {
 protected:
  void expect_failure(const std::string& id, const std::string& why) const {
    const std::string file = broken("bad_factory").string();
    sandbox_.write("ids.txt", "1 2 3");
    const std::string model = std::string(ATTNLAB_SOURCE_DIR) + "/configs/models/tiny.yaml";
    expect_refused(sandbox_,
                   {"logits", model, "--ids", "ids.txt", "-o", "out.safetensors", "--plugin", file, "--position", id},
                   {file, "position \"" + id + "\"", why});
    const Registry registry = load({}, {file});
    EXPECT_TRUE(registry.refusals().empty());
    try {
      (void)registry.position(id, {}, {});
      ADD_FAILURE() << id << " was made";
    } catch (const Error& error) {
      expect_mentions(error.what(), {file, id, why});
    }
  }
  Sandbox sandbox_;
};

TEST_F(Factories, ThatThrowAreErrorsThatNameThem) {
  expect_failure("throwing", "the tables are sold out");
}
TEST_F(Factories, ThatThrowNoExceptionAreErrorsThatNameThem) {
  expect_failure("throwing_number", "it threw 42 (int)");
}
TEST_F(Factories, ThatReturnNullAreErrorsThatNameThem) {
  expect_failure("returns_null", "its factory returned null");
}

TEST_F(Factories, OfCachesThatMakeNoCacheAreErrors) {
  sandbox_.write("ids.txt", "1 2 3");
  const std::string model = std::string(ATTNLAB_SOURCE_DIR) + "/configs/models/tiny.yaml";
  expect_refused(sandbox_,
                 {"logits", model, "--ids", "ids.txt", "-o", "out.safetensors", "--plugin",
                  broken("bad_factory").string(), "--cache", "no_cache_made"},
                 {"cache", "null"});
}

// The arm is known not to work before anything runs.
TEST_F(Factories, ThatFailMakeTheirArmAFailedRowAndTheOthersGoOn) {
  sandbox_.write("study.yaml",
                 "name: study\nmodel: " + std::string(ATTNLAB_SOURCE_DIR) +
                     "/configs/models/tiny.yaml\nrepeats: 1\nplugins: [" + broken("bad_factory").string() +
                     "]\narms: [{position: rope}, {position: throwing}]\n" + "workloads: [{speed: {batch: [q8]}}]\n");
  const Outcome outcome = sandbox_.run({"run", "study.yaml", "-o", "out"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  std::ifstream stream(sandbox_ / "out/summary.csv");
  const std::string summary((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  EXPECT_NE(summary.find("the tables are sold out"), std::string::npos) << summary;
  EXPECT_NE(summary.find("bad_factory.so"), std::string::npos) << summary;
  EXPECT_NE(summary.find(",ok\n"), std::string::npos) << summary;
}

}  // namespace
}  // namespace attnlab::program_test
