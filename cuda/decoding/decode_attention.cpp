#include "decoding/decode_attention.h"

#include <algorithm>

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void append_to_cache(Context& context, const CacheTask& task) {
  const auto& cache = task.cache;
  require(cache.kv_heads > 0 && cache.d > 0, "append_to_cache: {} heads of {}", cache.kv_heads, cache.d);
  require(std::min(task.k_stride, task.v_stride) >= cache.kv_heads * cache.d,
          "append_to_cache: strides are {} and {}, rows have {} elements", task.k_stride, task.v_stride,
          cache.kv_heads * cache.d);
  if (task.rows.sequences == 0) return;
  const ProfilerRange range("append_to_cache");
  context.operations().append_to_cache(context, task);
}

void decode_attention(Context& context, const DecodeAttentionTask& task) {
  const auto& cache = task.cache;
  require(cache.kv_heads > 0 && cache.d > 0, "decode_attention: {} heads of {}", cache.kv_heads, cache.d);
  require(task.heads > 0 && task.heads % cache.kv_heads == 0,
          "decode_attention: {} query heads, expected a multiple of {}", task.heads, cache.kv_heads);
  require(task.scale > 0, "decode_attention: scale is {}, expected a number above 0", task.scale);
  require(task.q_stride >= task.heads * cache.d && task.out_stride >= task.heads * cache.d,
          "decode_attention: strides are {} and {}, rows have {} elements", task.q_stride, task.out_stride,
          task.heads * cache.d);
  if (task.rows.sequences == 0) return;
  const ProfilerRange range("decode_attention");
  context.operations().decode_attention(context, task);
}

}  // namespace sartor::cuda
