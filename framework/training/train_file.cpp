#include "training/train_file.h"

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/include.h"
#include "config/map_reader.h"
#include "config/named_path.h"
#include "config/scalars.h"
#include "training/read_train.h"
#include "training/train_keys.h"

namespace attnlab::training {

TrainFile read_train_file(const std::filesystem::path& path, const experiment::ComponentLookup& lookup) {
  TrainFile file;
  file.file = path;
  const config::Node root = config::parse_with_includes(path);
  if (!root.is_map())
    throw Error(root.mark().text(), fmt::format("the training: expected a map, got {}", config::describe(root)),
                "begin with \"model: ...\"");
  config::ProblemList problems;
  config::MapReader reader(root, "the training", train_file_keys(), problems);
  if (const config::Node* model = reader.find("model")) {
    file.model_where = model->mark();
    file.model = config::read_path(*model, "model", path.parent_path(), config::PathKind::any, problems).value_or("");
  }
  file.seed = reader.integer("seed").value_or(file.seed);
  if (const config::Node* attention = reader.find("attention"))
    file.attention = experiment::read_layered(Kind::attention, *attention, lookup, problems);
  if (const config::Node* position = reader.find("position"))
    file.position = experiment::read_layered(Kind::position, *position, lookup, problems);
  if (const config::Node* train = reader.find("train")) file.train = read_train(*train, problems);
  reader.finish();
  problems.throw_if_any();
  return file;
}

}  // namespace attnlab::training
