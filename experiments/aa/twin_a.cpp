// One of two builds of the same attention; see aa.yaml.
#include "twin.h"

namespace {

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, Twin, TwinOptions>(
        {.id = "twin_a", .summary = "Grouped-query attention, built twice.", .reference = "arXiv:2305.13245"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "twin_a", .version = "1.0", .attention = kAttention);
