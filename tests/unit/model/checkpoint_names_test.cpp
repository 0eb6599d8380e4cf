// Which file of a folder holds the weights, under which names its tensors are found, and what is said where one is not.
#include "model/missing_tensor.h"
#include "unit/checkpoint_samples.h"

namespace attnlab::model {
namespace {

using model_test::expect_mentions;
using model_test::open_refusal;
using model_test::safetensors_text;
using model_test::TempFolder;
using model_test::write_tensors;
using Names = std::vector<std::string>;

Names names_of(const Names& stored) {
  const TempFolder folder;
  write_tensors(folder.path() / "model.safetensors", stored);
  return Checkpoint::open(folder.path()).names();
}

TEST(CheckpointNames, WrappersAreSeenThroughInAnyOrder) {
  const Names plain{"lm_head.weight", "model.norm.weight"};
  for (const std::string wrapper : {"_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module._orig_mod."})
    EXPECT_EQ(names_of({wrapper + "lm_head.weight", wrapper + "model.norm.weight"}), plain) << wrapper;
}

TEST(CheckpointNames, TheOutermostNameMayBeMissing) {
  EXPECT_EQ(names_of({"embed_tokens.weight", "layers.0.mlp.up_proj.weight", "norm.weight"}),
            (Names{"model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight", "model.norm.weight"}));
  EXPECT_EQ(names_of({"module.layers.0.mlp.up_proj.weight"}), Names{"model.layers.0.mlp.up_proj.weight"});
}

TEST(CheckpointNames, OneParameterUnderTwoNamesIsRefused) {
  const TempFolder folder;
  write_tensors(folder.path() / "model.safetensors", {"norm.weight", "_orig_mod.model.norm.weight"});
  expect_mentions(open_refusal(folder.path()),
                  {"\"norm.weight\"", "\"_orig_mod.model.norm.weight\"", "are the same parameter, model.norm.weight"});
}

TEST(CheckpointNames, AliasesOfTheMetadataAreFoundWhateverWrapsThem) {
  const TempFolder folder;
  folder.write("model.safetensors", safetensors_text(R"({"__metadata__":{"format":"pt","_orig_mod.embed_tokens.weight":
                                    "_orig_mod.lm_head.weight"},
                                    "_orig_mod.lm_head.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                                                     4));
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_TRUE(checkpoint.is_same("lm_head.weight", "model.embed_tokens.weight"));
}

TEST(CheckpointFiles, TheOnlyFileCountsWhateverItsName) {
  const TempFolder folder;
  write_tensors(folder.path() / "consolidated.safetensors", {"a"});
  write_tensors(folder.path() / "adapter_model.safetensors", {"b"});  // changes a model, is none
  EXPECT_EQ(Checkpoint::open(folder.path()).names(), Names{"a"});
  write_tensors(folder.path() / "ema.safetensors", {"c"});
  expect_mentions(open_refusal(folder.path()),
                  {"several safetensors files (consolidated.safetensors, ema.safetensors)"});
}

TEST(CheckpointFiles, OtherFormatsAreNamed) {
  for (const std::string file :
       {"pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "model-q4.gguf", "adapter_model.safetensors"}) {
    const TempFolder folder;
    folder.write("model.bin.index.json", "{}");
    folder.write(file, "x");
    if (file.ends_with(".bin")) folder.write("optimizer.bin", "x");  // sorts first and is no model
    expect_mentions(open_refusal(folder.path()), {"holds neither model.safetensors", ", but " + file,
                                                  file.ends_with(".gguf") ? "name the GGUF file itself" : "converted"});
  }
}

const std::string kQuery = "model.layers.0.self_attn.q_proj.weight";

TEST(MissingTensor, IsSaidToBeQuantised) {
  for (const std::string part : {"qweight", "scales", "qzeros", "weight_blocks", "weight_scales", "weight_scale_inv"}) {
    const std::string stored = "model.layers.0.self_attn.q_proj." + part;
    expect_mentions(what_is_there(kQuery, {"model.embed_tokens.weight", stored}), {stored, "is quantised"});
  }
}

TEST(MissingTensor, IsSaidToHaveAnotherLayoutsName) {
  expect_mentions(what_is_there("model.embed_tokens.weight",
                                {"model.layers.0.attention.wq.weight", "model.norm.weight", "tok_embeddings.weight"}),
                  {"makers' own layout", "Hugging Face files"});
}

TEST(MissingTensor, ShowsWhatItsModuleHoldsBeforeOtherLayers) {
  EXPECT_EQ(what_is_there(kQuery, {"model.layers.0.self_attn.o_proj.weight", "model.layers.0.self_attn.qkv_proj.weight",
                                   "model.layers.1.self_attn.q_proj.weight"}),
            "\"model.layers.0.self_attn.\" holds o_proj.weight, qkv_proj.weight");
}

TEST(MissingTensor, OfALayerThatIsNotThereNamesTheLayer) {
  expect_mentions(what_is_there("model.layers.2.mlp.up_proj.weight",
                                {"model.layers.0.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight"}),
                  {"nothing of \"model.layers.2.\"", "num_hidden_layers"});
}

TEST(MissingTensor, IsFoundUnderAnotherPath) {
  expect_mentions(what_is_there(kQuery, {"language_model.model.layers.0.self_attn.q_proj.weight", "other"}),
                  {"has such a tensor as \"language_model.model.layers.0.self_attn.q_proj.weight\""});
}

TEST(MissingTensor, OfTheTwoEndsSaysHowTheyAreTied) {
  expect_mentions(what_is_there("lm_head.weight", {"model.embed_tokens.weight"}), {"tie_word_embeddings: true"});
  expect_mentions(what_is_there("model.embed_tokens.weight", {"lm_head.weight"}), {"only lm_head.weight is stored"});
}

TEST(MissingTensor, IsNeverLeftWithoutAWord) {
  expect_mentions(what_is_there(kQuery, {}), {"no tensor at all"});
  expect_mentions(what_is_there(kQuery, {"encoder.block"}), {"1 tensors, such as \"encoder.block\""});
}

}  // namespace
}  // namespace attnlab::model
