// A storage that fits or not by what the model says: where its config has `rows_stay`, no row may be evicted. For the
// test that what a model gives is among the options by which the composition is checked.
#include "plugins/broken/storage_parts.h"

namespace attnlab::broken {
namespace {

struct ModelBoundOptions {
  bool rows_stay = false;
  static constexpr auto fields() {
    return std::tuple{field("rows_stay", &ModelBoundOptions::rows_stay,
                            {.doc = "No row may be evicted.", .from_model = "rows_stay"})};
  }
};

class ModelBound final : public Storage {
 public:
  ModelBound(const ModelBoundOptions&, const CreateContext&) {}
  static Traits traits(const ModelBoundOptions& options) {
    return options.rows_stay ? Traits{.excludes = {Feature::token_eviction}} : Traits{};
  }
  SideCodec codec(RowSide, int width) const override { return {.rows = std::make_unique<PlainCodec>(width)}; }
};

constexpr Component<Storage> kStorageBound[] = {
    component<Storage, ModelBound, ModelBoundOptions>(broken_info("model_bound"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "model_bound_storage", .version = "1.0", .storage = attnlab::broken::kStorageBound);
