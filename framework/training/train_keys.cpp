#include "training/train_keys.h"

#include "base/element.h"

namespace attnlab::training {
namespace {

using config::Key;
using config::KeyTable;
using config::KeyType;

constexpr double kMostSteps = 1e9;

Key form_key(std::string_view name, std::string_view definition, std::string_view written, std::string_view doc,
             bool required = false) {
  return {
      .name = name, .type = KeyType::form, .doc = doc, .required = required, .form = definition, .written = written};
}

// A rate is required unless a search gives it, so the reader asks for it.
Key rate_key(std::string_view doc) {
  return form_key("lr", "rate", "number above 0", doc);
}

Key share_key(std::string_view name, std::string_view doc) {
  return {.name = name, .type = KeyType::real, .doc = doc, .min = 0, .max = 0.999999};
}

Key decay_key(std::string_view doc) {
  return {.name = "weight_decay", .type = KeyType::real, .doc = doc, .min = 0, .max = 1000};
}

Key warmup_key() {
  return {.name = "warmup",
          .type = KeyType::integer,
          .doc = "Steps in which the rate rises straight to its height; default 0.",
          .min = 0,
          .max = kMostSteps};
}

Key final_key(std::string_view doc) {
  return {.name = "final", .type = KeyType::real, .doc = doc, .min = 0, .max = 1};
}

}  // namespace

const KeyTable& train_keys() {
  static const KeyTable keys = {
      form_key("task", "task", "task", "What the model is trained on.", true),
      {.name = "batch",
       .type = KeyType::integer,
       .doc = "Sequences of a step.",
       .required = true,
       .min = 1,
       .max = 1 << 20},
      {.name = "accumulate",
       .type = KeyType::integer,
       .doc = "Parts that a batch is fed in, for more than memory holds at once; default 1.",
       .min = 1,
       .max = 1 << 20},
      form_key("steps", "count", "count, as 3000 or 10k", "Length of the run in steps."),
      form_key("tokens", "count", "count, as 5M", "Length of the run in predicted tokens."),
      {.name = "epochs",
       .type = KeyType::real,
       .doc = "Length of the run in passes over the training examples.",
       .min = 0,
       .max = 1e6,
       .nonzero = true},
      {.name = "seconds",
       .type = KeyType::real,
       .doc = "Length of the run in seconds; its bits then depend on the machine.",
       .min = 0,
       .max = 1e7,
       .nonzero = true},
      form_key("optimiser", "optimiser", "adamw, muon or sgd with options", "How weights follow from gradients.", true),
      form_key("schedule", "schedule", "constant, linear, cosine or wsd with options",
               "How the rate changes in the run; default constant."),
      {.name = "clip",
       .type = KeyType::real,
       .doc = "Norm of all gradients together that they are scaled down to; 0: off. Default 1.",
       .min = 0,
       .max = 1e9},
      share_key("dropout", "Share of activations that is dropped; default 0."),
      {.name = "precision",
       .type = KeyType::choice,
       .doc = "What products multiply, forward and backward; weights, sums and updates are f32. Default f32.",
       .choices = {kArithmetics.begin(), kArithmetics.end()}},
      form_key("search", "train_search", "rates to try", "Tries several rates; the best by held-out loss is the arm."),
      form_key("evaluate", "train_evaluate", "how often, and how many batches", "Measures on held-out data."),
      form_key("stop", "train_stop", "accuracy or loss", "Ends the run early.")};
  return keys;
}

const KeyTable& adamw_keys() {
  static const KeyTable keys = {
      rate_key("Learning rate."),
      form_key("betas", "betas", "two numbers below 1",
               "How slowly the means of gradients and of their squares follow; default [0.9, 0.95]."),
      {.name = "eps", .type = KeyType::real, .doc = "Added to the divisor; default 1e-8.", .min = 1e-30, .max = 1},
      decay_key("Decoupled decay of tensors of two or more dimensions; default 0.1.")};
  return keys;
}

const KeyTable& muon_keys() {
  static const KeyTable keys = {
      rate_key("Learning rate of the layers' matrices."),
      share_key("momentum", "How slowly the mean of gradients follows; default 0.95."),
      decay_key("Decoupled decay of the layers' matrices; default 0.1."),
      form_key("adamw", "adamw", "options of adamw", "For everything but the layers' matrices.", true)};
  return keys;
}

const KeyTable& sgd_keys() {
  static const KeyTable keys = {rate_key("Learning rate."),
                                share_key("momentum", "What is left of the last update; default 0.9.")};
  return keys;
}

const KeyTable& constant_keys() {
  static const KeyTable keys = {warmup_key()};
  return keys;
}

const KeyTable& falling_keys() {
  static const KeyTable keys = {warmup_key(), final_key("Share of the rate in the last step; default 0.1.")};
  return keys;
}

const KeyTable& wsd_keys() {
  static const KeyTable keys = {
      warmup_key(),
      {.name = "decay", .type = KeyType::share, .doc = "Last share of the run, in which the rate falls; default 0.2."},
      final_key("Share of the rate in the last step; default 0.1.")};
  return keys;
}

const KeyTable& search_keys() {
  static const KeyTable keys = {form_key("lr", "rates", "two or more rates", "Learning rates to try.", true)};
  return keys;
}

const KeyTable& evaluate_keys() {
  static const KeyTable keys = {{.name = "every",
                                 .type = KeyType::integer,
                                 .doc = "Steps from one evaluation to the next; the last step always has one.",
                                 .required = true,
                                 .min = 1,
                                 .max = kMostSteps},
                                {.name = "batches",
                                 .type = KeyType::integer,
                                 .doc = "Held-out batches of an evaluation; default 8.",
                                 .min = 1,
                                 .max = 1 << 20}};
  return keys;
}

const KeyTable& stop_keys() {
  static const KeyTable keys = {{.name = "accuracy",
                                 .type = KeyType::real,
                                 .doc = "Held-out accuracy that is enough.",
                                 .min = 0,
                                 .max = 1,
                                 .nonzero = true},
                                {.name = "loss",
                                 .type = KeyType::real,
                                 .doc = "Held-out loss that is low enough, in nats a prediction.",
                                 .min = 0,
                                 .max = 1000}};
  return keys;
}

const KeyTable& train_file_keys() {
  static const KeyTable keys = {
      form_key("include", "include", "one path, or several",
               "YAML files whose keys hold where this file does not say otherwise."),
      form_key("model", "model", "path",
               "A checkpoint folder (no GGUF file), whose weights are the start, or a model YAML.", true),
      {.name = "seed",
       .type = KeyType::integer,
       .doc = "Seed of weights and data; default 1.",
       .min = 0,
       .max = 0x1p63},
      form_key("attention", "attention", "component", "Attention variant; default: the model's own."),
      form_key("position", "position", "component", "Positional scheme; default: the model's own."),
      form_key("train", "train", "map", "How it is trained.", true)};
  return keys;
}

}  // namespace attnlab::training
