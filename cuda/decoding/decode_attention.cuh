// GPU versions of attention over a paged cache, called after their checks.
#pragma once

#include "decoding/decode_attention.h"

namespace sartor::cuda {

void append_to_cache_gpu(Context& context, const CacheTask& task);
void decode_attention_gpu(Context& context, const DecodeAttentionTask& task);

}  // namespace sartor::cuda
