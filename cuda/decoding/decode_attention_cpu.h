// CPU versions of the operations on a paged cache, called after their checks.
#pragma once

#include "decoding/decode_attention.h"

namespace sartor::cuda {

void append_to_cache_cpu(Context& context, const CacheTask& task);
void decode_attention_cpu(Context& context, const DecodeAttentionTask& task);

}  // namespace sartor::cuda
