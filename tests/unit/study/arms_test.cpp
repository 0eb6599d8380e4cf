// Arms: choices by layer, grids, lists, exclusions, names.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "study/arms.h"
#include "study/merged_train.h"
#include "unit/spec_samples.h"

namespace attnlab::experiment {
namespace {

std::vector<Arm> arms_of(const std::string& yaml, const ArmDefaults& defaults = {}) {
  config::ProblemList problems;
  std::vector<Arm> arms = read_arms(config::parse_text(yaml, "f.yaml"), sample_lookup(), defaults, problems);
  problems.throw_if_any();
  return arms;
}

std::vector<std::string> names_of(const std::string& yaml) {
  std::vector<std::string> names;
  for (const Arm& arm : arms_of(yaml)) names.push_back(arm.name);
  return names;
}

std::string arms_error(const std::string& yaml) {
  return error_of([&] { (void)arms_of(yaml); });
}

using Names = std::vector<std::string>;

TEST(Arms, AGridIsMultipliedOutInTheOrderInWhichItIsWritten) {
  EXPECT_EQ(names_of("grid: {attention: [mha, mqa], cache: [full, {sink: {sinks: 4, window: 8}}]}"),
            (Names{"mha/rope/full", "mha/rope/sink", "mqa/rope/full", "mqa/rope/sink"}));
  EXPECT_EQ(names_of("grid: {cache: [full, sink], attention: [mha, mqa]}"),
            (Names{"mha/rope/full", "mqa/rope/full", "mha/rope/sink", "mqa/rope/sink"}));
  EXPECT_EQ(names_of("grid: {position: none}"), (Names{"mha/none/full"}));
}

TEST(Arms, ListAndGridComeInTheOrderOfTheFile) {
  const std::vector<Arm> arms = arms_of("list: [{attention: mqa}]\ngrid: {attention: [mha]}\n");
  ASSERT_EQ(arms.size(), 2U);
  EXPECT_EQ(arms[0].name, "mqa/rope/full");
  EXPECT_FALSE(arms[0].from_grid);
  EXPECT_EQ(arms[0].where.text(), "f.yaml:1:8");
  EXPECT_TRUE(arms[1].from_grid);
}

TEST(Arms, KindsThatAreNotNamedAreTheModelsOwn) {
  const std::vector<Arm> arms = arms_of("[{}, {cache: window}]", {.attention = "gqa", .position = "none"});
  ASSERT_EQ(arms.size(), 2U);
  EXPECT_EQ(arms[0].name, "gqa/none/full");
  EXPECT_EQ(arms[1].name, "gqa/none/window");
  EXPECT_TRUE(arms[0].attention.base.options.empty());
  EXPECT_EQ(arms[0].attention.base.written, "gqa");
}

TEST(Arms, NamesShowOptionsOnlyWhereTheyTellArmsApart) {
  EXPECT_EQ(names_of("grid: {attention: [mha, {gqa: {kv_heads: 4}}, mqa]}"),
            (Names{"mha/rope/full", "gqa/rope/full", "mqa/rope/full"}));
  EXPECT_EQ(names_of("grid: {attention: [{gqa: {kv_heads: 4}}, {gqa: {kv_heads: 2}}], cache: [full, window]}"),
            (Names{"gqa(kv_heads=4)/rope/full", "gqa(kv_heads=4)/rope/window", "gqa(kv_heads=2)/rope/full",
                   "gqa(kv_heads=2)/rope/window"}));
  EXPECT_EQ(names_of("grid: {cache: [{sink: {sinks: 4, window: 8}}, {sink: {sinks: 4, window: 16}}]}"),
            (Names{"mha/rope/sink(window=8)", "mha/rope/sink(window=16)"}));
  EXPECT_EQ(names_of("grid: {attention: [gqa, {gqa: {kv_heads: 4}}]}"),
            (Names{"gqa/rope/full", "gqa(kv_heads=4)/rope/full"}));
  EXPECT_EQ(names_of("grid: {cache: [full, {full: {keys: unrotated}}], position: {rope: {theta: 5e5}}}"),
            (Names{"mha/rope/full", "mha/rope/full(keys=unrotated)"}));
}

TEST(Arms, LayersArePartOfAName) {
  EXPECT_EQ(names_of("- cache: full\n"
                     "- cache: {full: {}, layers: {2-: {window: {window: 8}}}}\n"
                     "- cache: {full: {}, layers: {2-: {window: {window: 4}}}}\n"
                     "- cache: {full: {}, layers: {every 4 from 3: window}}\n"),
            (Names{"mha/rope/full", "mha/rope/full+window(window=8)@2-", "mha/rope/full+window(window=4)@2-",
                   "mha/rope/full+window@every4from3"}));
}

TEST(Arms, ExplicitNamesAndTagsStand) {
  const std::vector<Arm> arms = arms_of("- {name: base, tags: [a, b], attention: mha}\n- {attention: mha}\n");
  EXPECT_EQ(arms[0].name, "base");
  EXPECT_EQ(arms[0].tags, (Names{"a", "b"}));
  EXPECT_EQ(arms[1].name, "mha/rope/full");
}

TEST(Arms, OfAListMayHaveThreadsOfTheirOwn) {
  const std::vector<Arm> arms = arms_of("- {threads: 1}\n- {threads: 2}\n- {}\n");
  EXPECT_EQ(arms[0].threads, 1);
  EXPECT_EQ(arms[1].name, "mha/rope/full/threads=2");
  EXPECT_EQ(arms[2].threads, 0);
  EXPECT_EQ(arms[2].name, "mha/rope/full");
}

TEST(Arms, SharedNamesAreRefusedWithBothPlaces) {
  EXPECT_EQ(arms_error("- {name: x}\n- {name: x, cache: window}\n"),
            "f.yaml:2:3: the arm \"x\" is there twice, also at f.yaml:1:3; give it another name");
  EXPECT_EQ(arms_error("- {attention: mha}\n- {attention: {mha: {}}}\n"),
            "f.yaml:2:3: the arm \"mha/rope/full\" is there twice, also at f.yaml:1:3; drop it, or give it a name");
  EXPECT_EQ(arms_error("grid: {cache: [full, full]}"),
            "f.yaml:1:22: the arm \"mha/rope/full\" is there twice, also at f.yaml:1:16; drop it, or give it a name");
  EXPECT_EQ(arms_error("- {name: mha/rope/full, cache: window}\n- {}\n"),
            "f.yaml:2:3: the arm \"mha/rope/full\" is there twice, also at f.yaml:1:3; drop it, or give it a name");
}

TEST(Arms, ExclusionsDropCellsOfTheGridOnly) {
  const std::string yaml =
      "grid: {attention: [mha, {gqa: {kv_heads: 4}}, {gqa: {kv_heads: 2}}], cache: [full, window]}\n"
      "list: [{name: kept, attention: mha, cache: window}]\n";
  EXPECT_EQ(names_of(yaml + "exclude: [{attention: gqa}, {attention: mha, cache: full}]\n"),
            (Names{"mha/rope/window", "kept"}));
  EXPECT_EQ(names_of(yaml + "exclude:\n- {attention: {gqa: {kv_heads: 2}}}\n- {attention: mha}\n- {cache: window}\n"),
            (Names{"gqa/rope/full", "kept"}));
}

TEST(Arms, AnExclusionThatFindsNothingIsAMistake) {
  const std::string yaml = "grid: {attention: [mha, mqa]}\n";
  EXPECT_EQ(arms_error(yaml + "exclude: [{attention: gqa}]\n"),
            "f.yaml:2:11: exclude: no arm of the grid is like this");
  EXPECT_EQ(arms_error(yaml + "exclude: [{}]\n"),
            "f.yaml:2:11: exclude: names nothing; name model, attention, position, cache, weights or compute");
  EXPECT_EQ(arms_error(yaml + "exclude: [{atention: mha}]\n"),
            "f.yaml:2:12: unknown key \"atention\" of exclude; did you mean \"attention\"?");
  EXPECT_EQ(arms_error(yaml + "exclude: {attention: mha}\n"), "f.yaml:2:10: exclude: expected a list, got a map");
  EXPECT_EQ(arms_error(yaml + "exclude: [{position: rope}]\n"),
            "f.yaml:1:1: no arm is left to run; give arms a grid or a list");
}

TEST(Arms, EveryProblemIsReportedAtOnce) {
  EXPECT_EQ(arms_error("grid:\n"
                       "  attention: [mha, gqaa, {gqa: {kv_head: 4}}, {gqa: {kv_heads: 0}}]\n"
                       "  cache: [{sink: {sinks: 8, window: 8}}]\n"
                       "  labels: [a]\n"
                       "list:\n"
                       "  - mha\n"
                       "  - {cach: full}\n"
                       "  - {name: 3, attention: }\n"),
            "f.yaml:2:20: unknown component \"gqaa\"; did you mean \"gqa\"?\n"
            "f.yaml:2:33: unknown option \"kv_head\" of \"gqa\"; did you mean \"kv_heads\"?\n"
            "f.yaml:2:64: kv_heads: 0 is less than 1\n"
            "f.yaml:3:26: sinks: must be smaller than window\n"
            "f.yaml:4:3: unknown key \"labels\" of the grid; known keys: model, attention, position, cache, weights, compute, tags\n"
            "f.yaml:6:5: an arm: expected a map, got text \"mha\"; write {attention: NAME, cache: NAME}\n"
            "f.yaml:7:6: unknown key \"cach\" of an arm; did you mean \"cache\"?\n"
            "f.yaml:8:12: name: expected text, got 3; put it in quotes\n"
            "f.yaml:8:26: attention: expected a name, got nothing; write NAME or {NAME: {OPTION: VALUE}}");
}

TEST(Arms, ThereMustBeSomeButNotTooMany) {
  EXPECT_EQ(arms_error("[]"), "f.yaml:1:1: no arm is left to run; give arms a grid or a list");
  EXPECT_EQ(arms_error("grid:\n"), "f.yaml:1:1: the grid is empty; name model, attention, position, cache, weights or compute");
  EXPECT_EQ(arms_error("grid: {cache: []}"), "f.yaml:1:15: cache: the list is empty");
  EXPECT_EQ(arms_error("x: 1\n"), "f.yaml:1:1: unknown key \"x\" of arms; known keys: grid, list, exclude");
  std::string list = "[mha";
  for (int i = 0; i < 150; ++i) list += ", mha";
  EXPECT_EQ(arms_error("grid:\n  attention: " + list + "]\n  cache: " + list + "]\n").substr(0, 48),
            "f.yaml:3:11: unknown component \"mha\"; known comp");
  for (std::size_t at = 0; (at = list.find("mha", at)) != std::string::npos;) list.replace(at, 3, "full");
  std::string heads = "[mha";
  for (int i = 0; i < 150; ++i) heads += ", mha";
  EXPECT_EQ(arms_error("grid:\n  attention: " + heads + "]\n  cache: " + list + "]\n"),
            "f.yaml:3:3: the grid has more than 10000 arms");
}

TEST(Arms, PatternsMatchTheKeysThatTheyName) {
  const std::vector<Arm> arms =
      arms_of("grid: {attention: [mha, {gqa: {kv_heads: 4}}], cache: [full, {full: {keys: rotated}}]}");
  const auto matched = [&](const std::string& yaml) {
    config::ProblemList problems;
    const auto pattern = read_pattern(config::parse_text(yaml, "f.yaml"), "baseline", sample_lookup(), problems);
    problems.throw_if_any();
    std::string found;
    for (const Arm& arm : arms) found += pattern->matches(arm) ? '1' : '0';
    return found;
  };
  EXPECT_EQ(matched("attention: gqa"), "0011");
  EXPECT_EQ(matched("attention: {gqa: {kv_heads: 4}}"), "0011");
  EXPECT_EQ(matched("attention: {gqa: {kv_heads: 2}}"), "0000");
  EXPECT_EQ(matched("cache: {full: {keys: rotated}}"), "0101");
  EXPECT_EQ(matched("{attention: mha, cache: full}"), "1100");
  EXPECT_EQ(matched("cache: {full: {}, layers: {0: window}}"), "0000");
}

TEST(Arms, GlobsSelectByNameOrTag) {
  const std::vector<Arm> arms =
      arms_of("- {attention: mha, tags: [slow]}\n- {attention: mqa}\n- {name: x, tags: [slow]}\n");
  EXPECT_EQ(select_arms(arms, "m*"), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(select_arms(arms, "*full"), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(select_arms(arms, "slow"), (std::vector<std::size_t>{0, 2}));
  EXPECT_EQ(select_arms(arms, "m[q]a/rope/full"), (std::vector<std::size_t>{1}));
  EXPECT_TRUE(select_arms(arms, "none").empty());
}

StorageChoice storage_of(const std::string& yaml) {
  return arms_of("- cache: {full: {storage: " + yaml + "}}")[0].cache.base.storage.value();
}

// Sides and a page in the order of the YAML.
StorageChoice storage_choice(const std::string& keys, const std::string& values, int page = 0) {
  return {storage_of(keys).keys, storage_of(values).values, page};
}

TEST(Storage, IsReadInEachOfItsForms) {
  EXPECT_EQ(storage_of("f32"), StorageChoice{});
  EXPECT_EQ(storage_of("{k: f32, v: f32}"), StorageChoice{});
  EXPECT_EQ(storage_of("bf16"), storage_choice("bf16", "bf16"));
  EXPECT_EQ(storage_of("{int8: {}}"), storage_choice("int8", "int8"));
  EXPECT_EQ(storage_of("{k: int8, v: int4, page: 16}"), storage_choice("int8", "int4", 16));
  EXPECT_EQ(storage_of("{v: int4}"), storage_choice("f32", "int4"));
  EXPECT_EQ(storage_of("{page: 65536}"), storage_choice("f32", "f32", 65536));
  EXPECT_EQ(storage_of("{int4: {}, page: 1}"), storage_choice("int4", "int4", 1));
  const auto json = [](const std::string& yaml) { return storage_json(storage_of(yaml)).dump(); };
  EXPECT_EQ(json("int8"), R"("int8")");
  EXPECT_EQ(json("{k: int8, v: int4, page: 16}"), R"({"k":"int8","v":"int4","page":16})");
  EXPECT_EQ(json("{int8: {}, page: 4}"), R"({"k":"int8","v":"int8","page":4})");
  EXPECT_EQ(json("kivi"), R"({"kivi":{"bits":2,"group":32,"residual":128}})");
  EXPECT_EQ(json("{kivi: {bits: 4, group: 8, residual: 0}, page: 16}"),
            R"({"kivi":{"bits":4,"group":8,"residual":0},"page":16})");
  EXPECT_EQ(json("{k: {kivi: {bits: 4}}, v: int8}"),
            R"({"k":{"kivi":{"bits":4,"group":32,"residual":128}},"v":"int8"})");
  EXPECT_EQ(storage_of("{kivi: {bits: 2, group: 32}}"), storage_of("kivi")) << "what is written as it is by default";
}

TEST(Storage, IsRefusedWhereItIsWritten) {
  const auto error = [](const std::string& yaml) { return arms_error("- cache: {full: {storage: " + yaml + "}}"); };
  EXPECT_EQ(error("int9"), "f.yaml:1:27: unknown component \"int9\"; did you mean \"int8\"?");
  EXPECT_EQ(error("{k: int8, v: f23, page: 0}"),
            "f.yaml:1:40: unknown component \"f23\"; did you mean \"f32\"?\n"
            "f.yaml:1:51: page: 0 is outside 1..65536");
  EXPECT_EQ(error("{k: f32, pages: 16}"), "f.yaml:1:36: unknown key \"pages\" of storage; did you mean \"page\"?");
  EXPECT_EQ(error("{int8: {group: 2}}"), "f.yaml:1:35: unknown option \"group\" of \"int8\"; it takes no options");
  EXPECT_EQ(error("{kivi: {bits: 3}}"), "f.yaml:1:41: bits: expected one of 2, 4, got 3");
  EXPECT_EQ(error("{kivi: {bits: 8, group: 0, residual: -1, grup: 2}}"),
            "f.yaml:1:41: bits: expected one of 2, 4, got 8\n"
            "f.yaml:1:51: group: 0 is outside 1..65536\n"
            "f.yaml:1:64: residual: -1 is outside 0..1073741824\n"
            "f.yaml:1:68: unknown option \"grup\" of \"kivi\"; did you mean \"group\"?");
  EXPECT_EQ(error("{kivi: {}, int8: {}, page: 4}"),
            "f.yaml:1:38: storage: \"int8\" stands beside \"kivi\", expected one name; "
            "write NAME or {NAME: {OPTION: VALUE}}");
  EXPECT_EQ(arms_error("- cache: {full: {storag: f32}}"),
            "f.yaml:1:18: unknown option \"storag\" of \"full\"; did you mean \"storage\"?");
  EXPECT_EQ(arms_error("- attention: {mha: {storage: f32}}"),
            "f.yaml:1:21: unknown option \"storage\" of \"mha\"; it takes no options");
}

TEST(Storage, TellsHowKeysAreStored) {
  EXPECT_EQ(arms_of("- cache: {full: {keys: auto}}")[0].cache.base.keys, StoredKeys::auto_);
  EXPECT_EQ(arms_of("- cache: {full: {keys: unrotated}}")[0].cache.base.keys, StoredKeys::unrotated);
  EXPECT_FALSE(arms_of("- cache: full")[0].cache.base.keys.has_value());
  EXPECT_EQ(
      arms_error("- cache: {full: {keys: rotate}}"),
      "f.yaml:1:24: keys: expected one of auto, rotated, unrotated, got text \"rotate\"; did you mean \"rotated\"?");
}

TEST(Storage, IsSpelledShortInNames) {
  EXPECT_EQ(StorageChoice{}.text(), "f32");
  const auto text = [](const std::string& yaml) { return storage_of(yaml).text(); };
  EXPECT_EQ(text("{k: int8, v: int4}"), "k:int8,v:int4");
  EXPECT_EQ(text("{int8: {}, page: 16}"), "k:int8,v:int8,page:16");
  EXPECT_EQ(text("{kivi: {bits: 4, group: 32}}"), "kivi:4");
  EXPECT_EQ(text("{kivi: {group: 64, residual: 0}, page: 16}"), "kivi:2,group:64,residual:0,page:16");
  EXPECT_EQ(text("{k: {kivi: {bits: 4, group: 8}}, v: int8}"), "k:kivi:4,group:8,v:int8");
}

LayeredChoice cache_of(const std::string& yaml) {
  return parse_layered(Kind::cache, yaml, "--cache", sample_lookup());
}

std::string ids_of(const LayeredChoice& choice, int layers) {
  std::string ids;
  for (const ComponentChoice* component : choice.resolve(layers)) ids += component->id[0];
  return ids;
}

TEST(Layers, RangesChooseAmongTheLayers) {
  const auto with = [](const std::string& layers) {
    return ids_of(cache_of("{full: {}, layers: {" + layers + ": window}}"), 8);
  };
  EXPECT_EQ(ids_of(cache_of("full"), 3), "fff");
  EXPECT_EQ(with("3"), "fffwffff");
  EXPECT_EQ(with("2-"), "ffwwwwww");
  EXPECT_EQ(with("-4"), "wwwwwfff");
  EXPECT_EQ(with("2-5"), "ffwwwwff");
  EXPECT_EQ(with("'0,2,5'"), "wfwffwff");
  EXPECT_EQ(with("'0, 6-'"), "wfffffww");
  EXPECT_EQ(with("every 4"), "wfffwfff");
  EXPECT_EQ(with("every 4 from 3"), "fffwfffw");
  EXPECT_EQ(with("every 1"), "wwwwwwww");
  EXPECT_EQ(ids_of(cache_of("{full: , layers: {'0-1': window, 5-: {sink: {sinks: 1, window: 2}}}}"), 8), "wwfffsss");
}

TEST(Layers, LayersThatTheModelDoesNotHaveAreErrors) {
  const LayeredChoice choice = arms_of("- cache: {full: {}, layers: {1-12: window, 20-: window}}")[0].cache;
  EXPECT_EQ(error_of([&] { (void)choice.resolve(12); }),
            "f.yaml:1:30: there is no layer 12 in a model of 12 layers; layers are 0..11\n"
            "f.yaml:1:44: there is no layer 20 in a model of 12 layers; layers are 0..11");
  EXPECT_EQ(ids_of(choice, 21), "fwwwwwwwwwwwwfffffffw");
}

TEST(Layers, BadRangesAreExplained) {
  const std::string forms = "; write 3, 2-, -4, 2-5, \"0,2,5\", every 4 or every 4 from 3";
  const auto fault = [](const std::string& layers) {
    return arms_error("- cache: {full: {}, layers: {" + layers + ": window}}");
  };
  EXPECT_EQ(fault("5-2"), "f.yaml:1:30: layers \"5-2\": the range ends before it begins" + forms);
  EXPECT_EQ(fault("x"), "f.yaml:1:30: layers \"x\": \"x\" is no number" + forms);
  EXPECT_EQ(fault("'1,'"), "f.yaml:1:30: layers \"1,\": a number is missing" + forms);
  EXPECT_EQ(fault("'-'"), "f.yaml:1:30: layers \"-\": a number is missing" + forms);
  EXPECT_EQ(fault("1-2-3"), "f.yaml:1:30: layers \"1-2-3\": \"2-3\" is no number" + forms);
  EXPECT_EQ(fault("10000"), "f.yaml:1:30: layers \"10000\": 10000 is outside 0..9999" + forms);
  EXPECT_EQ(fault("99999999999"), "f.yaml:1:30: layers \"99999999999\": 99999999999 is outside 0..9999" + forms);
  EXPECT_EQ(fault("every 0"), "f.yaml:1:30: layers \"every 0\": 0 is no distance" + forms);
  EXPECT_EQ(fault("every two"), "f.yaml:1:30: layers \"every two\": \"two\" is no number" + forms);
  EXPECT_EQ(fault("'2,1-3'"), "f.yaml:1:30: layers \"2,1-3\": layer 2 stands there twice" + forms);
}

TEST(Layers, OverlapsNameBothPlaces) {
  EXPECT_EQ(
      arms_error("- cache:\n    full: {}\n    layers:\n      2-: window\n      every 4: window\n      '0': window\n"),
      "f.yaml:5:7: layers \"every 4\": layer 4 is also in \"2-\" at f.yaml:4:7");
  EXPECT_EQ(
      arms_error("- cache: {full: {}, layers: [1]}"),
      "f.yaml:1:29: layers: expected a map, got a list; write 3, 2-, -4, 2-5, \"0,2,5\", every 4 or every 4 from 3");
  EXPECT_EQ(arms_error("- cache: {layers: {2-: windw}}"),
            "f.yaml:1:10: cache: expected a name, got an empty map; write NAME or {NAME: {OPTION: VALUE}}\n"
            "f.yaml:1:24: unknown component \"windw\"; did you mean \"window\"?");
}

TEST(Layers, AnArgumentIsReadLikeTheFile) {
  EXPECT_EQ(cache_of("{window: {window: 8}}").base.options.at("window"), OptionValue(std::int64_t{8}));
  EXPECT_EQ(error_of([] { (void)cache_of("windw"); }),
            "--cache: unknown component \"windw\"; did you mean \"window\"?");
  EXPECT_EQ(error_of([] { (void)cache_of("{window: {window: 0}}"); }), "--cache: window: 0 is less than 1");
  EXPECT_EQ(error_of([] { (void)cache_of(""); }),
            "--cache: cache: expected a name, got nothing; write NAME or {NAME: {OPTION: VALUE}}");
}

TEST(Layers, WhatWasWrittenIsKept) {
  EXPECT_EQ(cache_of("full:").written().dump(), R"("full")");
  EXPECT_EQ(cache_of("{sink: {window: 8, sinks: 4}}").written().dump(), R"({"sink":{"window":8,"sinks":4}})");
  EXPECT_EQ(cache_of("{layers: {2-: {window: {window: 8}}, 0: window}, full: {}}").written().dump(),
            R"({"full":{},"layers":{"2-":{"window":{"window":8}},"0":"window"}})");
}

TEST(Arms, AModelIsAnAxisWhoseKeysAreInTheName) {
  const std::string two =
      "grid: {model: [{hidden_size: 32, head_dim: 8}, {hidden_size: 64, head_dim: 8}], cache: full}";
  EXPECT_EQ(names_of(two), (Names{"mha/rope/full/model(hidden_size=32)", "mha/rope/full/model(hidden_size=64)"}));
  EXPECT_EQ(names_of("grid: {model: [{}, {hidden_size: 64}]}"), (Names{"mha/rope/full", "mha/rope/full/model"}));
  EXPECT_EQ(names_of("{grid: {model: [{hidden_size: 32}, {hidden_size: 64}]}, exclude: [{model: {hidden_size: 64}}]}"),
            (Names{"mha/rope/full/model"}));
  const std::vector<Arm> listed =
      arms_of("[{model: {hidden_size: 32}, train: {steps: 3}}, {train: none, cache: full}]");
  EXPECT_EQ(listed[0].name, "mha/rope/full/model/train");
  EXPECT_EQ(listed[1].name, "mha/rope/full/train=none");
  EXPECT_EQ(listed[0].model.find("hidden_size")->text(), "32");
  EXPECT_TRUE(listed[1].model.is_null());
}

TEST(Arms, AModelThatIsChangedMayHaveAnotherAttention) {
  const ArmDefaults defaults{.attention = "gqa", .changed_attention = [](const config::Node& model) -> std::string {
                               if (model.find("bad") != nullptr) throw Error(model.mark().text(), "it is bad");
                               return "mqa";
                             }};
  const std::vector<Arm> arms = arms_of("grid: {model: [{}, {num_key_value_heads: 1}]}", defaults);
  EXPECT_EQ(arms[0].name, "gqa/rope/full");
  EXPECT_EQ(arms[1].name, "mqa/rope/full/model");
  EXPECT_EQ(error_of([&] { (void)arms_of("[{model: {bad: 1}}]", defaults); }), "f.yaml:1:10: it is bad");
}

TEST(Arms, WhatIsNoModelAndNoTrainingIsRefused) {
  EXPECT_EQ(arms_error("[{model: 3}]"),
            "f.yaml:1:10: model: expected keys of the model, got 3; write {hidden_size: 64}");
  EXPECT_EQ(arms_error("grid: {model: []}"), "f.yaml:1:15: model: the list is empty");
  EXPECT_EQ(
      arms_error("[{train: soon}]"),
      "f.yaml:1:10: train: expected keys of train, got text \"soon\"; write {steps: 500}, or none for an arm that is "
      "not trained");
}

TEST(Arms, KeysOfAnArmsTrainingTakeThePlaceOfTheExperiments) {
  const auto keys = [](const std::string& of_experiment, const std::string& of_arm) {
    const config::Node merged =
        merged_train(config::parse_text(of_experiment, "f.yaml"), config::parse_text(of_arm, "f.yaml"));
    std::string text;
    for (const auto& entry : merged.entries()) text += entry.key + "=" + entry.value.text() + " ";
    return text;
  };
  EXPECT_EQ(keys("{batch: 8, steps: 100, clip: 1}", "{clip: 0, dropout: 0.1}"),
            "batch=8 steps=100 clip=0 dropout=0.1 ");
  EXPECT_EQ(keys("{batch: 8, steps: 100}", "{tokens: 5M}"), "batch=8 tokens=5M ") << "one length of a run";
  EXPECT_EQ(keys("{batch: 8, clip: 1}", "{clip: ~}"), "batch=8 ") << "a key without a value is not there";
}

}  // namespace
}  // namespace attnlab::experiment
