// Products of a vector with the entries of a row: to += sum over k of (q_k <y_k, v> - b_k) y_k, the part of A v - sum b
// y that its own entries have; without targets, b = 0. Threads that work on one row are a team.
#pragma once

#include "factorization/implicit/implicit_rows.cuh"

namespace sartor::cuda {

// What a row's entries are multiplied by.
struct GatherTask {
  const ImplicitRows& rows;
  const AlsRow& row;
  const float* v;
  bool targets;
  bool aligned;  // rows of Y and vectors can be read 16 bytes at a time

  __device__ const float* feature(int64_t k) const { return rows.task.fixed.data + row.columns[k] * rows.factors(); }
  __device__ float coefficient(int64_t k, float product) const {
    const auto weight = implicit_weight(rows.task.params, row.values[k]);
    return weight.square * product - (targets ? weight.target : 0);
  }
};

// A warp, for up to 4 lanes parts factors. Each group of `lanes` lanes has an entry at a time; a lane has 4 parts
// factors of it and of v, in registers, so that features are read once.
template <int lanes, int parts> struct WarpTeam {
  static constexpr int size = 32, teams = 4;                          // threads, and teams in a block
  static constexpr int blocks = parts <= 2 ? 5 : parts <= 4 ? 4 : 2;  // of a multiprocessor, which registers allow
  static constexpr bool has_memory = false;                           // whether it needs f floats of scratch memory

  __device__ explicit WarpTeam(float*) {}
  __device__ static int team() { return threadIdx.x / 32; }
  __device__ static int rank() { return threadIdx.x % 32; }
  __device__ static void sync() { __syncwarp(); }
  __device__ static float sum(float value) { return sum_of_lanes<32>(value); }

  // Adds entries begin to end - 1. Ends with a barrier of the team.
  __device__ void add(const GatherTask& task, int64_t begin, int64_t end, float* to) const {
    constexpr int groups = 32 / lanes;
    const int64_t f = task.rows.factors();
    const int group = rank() / lanes, first = rank() % lanes * 4;
    float4 v[parts], sums[parts];
#pragma unroll
    for (int p = 0; p < parts; p++) v[p] = load_four(task.v, first + 4 * lanes * p, f, task.aligned), sums[p] = {};
#pragma unroll(parts <= 2 ? 4 : 1)
    for (int64_t some = begin; some < end; some += groups) {
      const int64_t k = min(some + group, end - 1);
      const float* feature = task.feature(k);
      float4 y[parts];
      float product = 0;
#pragma unroll
      for (int p = 0; p < parts; p++) y[p] = load_four(feature, first + 4 * lanes * p, f, task.aligned);
#pragma unroll
      for (int p = 0; p < parts; p++) product = dot(y[p], v[p], product);
      product = sum_of_lanes<lanes>(product);
      const float coefficient = some + group < end ? task.coefficient(k, product) : 0;
#pragma unroll
      for (int p = 0; p < parts; p++) accumulate(sums[p], coefficient, y[p]);
    }
#pragma unroll
    for (int p = 0; p < parts; p++) {
#pragma unroll
      for (int step = lanes; step < 32; step *= 2) {
        sums[p].x += __shfl_xor_sync(~0u, sums[p].x, step), sums[p].y += __shfl_xor_sync(~0u, sums[p].y, step);
        sums[p].z += __shfl_xor_sync(~0u, sums[p].z, step), sums[p].w += __shfl_xor_sync(~0u, sums[p].w, step);
      }
      if (group == 0) add_four(to, first + 4 * lanes * p, f, sums[p]);
    }
    sync();
  }
};

// A block, for any number of factors. Products of a chunk of entries with v come first; then the features are read a
// second time, which caches should still have.
struct BlockTeam {
  static constexpr int size = 256, teams = 1, warps = size / 32, chunk = 32, blocks = 4;
  static constexpr bool has_memory = true;

  __device__ explicit BlockTeam(float* own) : own_(own) {}
  __device__ static int team() { return 0; }
  __device__ static int rank() { return threadIdx.x; }
  __device__ static void sync() { __syncthreads(); }
  __device__ static float sum(float value) {
    __shared__ float sums[warps];
    value = sum_of_lanes<32>(value);
    __syncthreads();
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = value;
    __syncthreads();
    float total = 0;
    for (int warp = 0; warp < warps; warp++) total += sums[warp];
    return total;
  }

  __device__ void add(const GatherTask& task, int64_t begin, int64_t end, float* to) const {
    __shared__ float coefficients[chunk];
    const int64_t f = task.rows.factors();
    for (int64_t some = begin; some < end; some += chunk) {
      const int count = static_cast<int>(min(end - some, int64_t{chunk}));
      for (int k = threadIdx.x / 32; k < count; k += warps) {
        float product = 0;
        for (int64_t at = threadIdx.x % 32 * 4; at < f; at += 32 * 4) {
          product = dot(load_four(task.feature(some + k), at, f, task.aligned), load_four(task.v, at, f, task.aligned),
                        product);
        }
        product = sum_of_lanes<32>(product);
        if (threadIdx.x % 32 == 0) coefficients[k] = task.coefficient(some + k, product);
      }
      __syncthreads();
      for (int64_t at = threadIdx.x * 4; at < f; at += size * 4) {
        float4 sums = {};
#pragma unroll 4
        for (int k = 0; k < count; k++) {
          accumulate(sums, coefficients[k], load_four(task.feature(some + k), at, f, task.aligned));
        }
        // Sums of this part are apart from those of other parts, which blocks add in any grouping.
        if (some > begin) {
          const float4 earlier = *reinterpret_cast<const float4*>(own_ + at);
          sums = {sums.x + earlier.x, sums.y + earlier.y, sums.z + earlier.z, sums.w + earlier.w};
        }
        if (some + chunk < end) {
          *reinterpret_cast<float4*>(own_ + at) = sums;
        } else {
          add_four(to, at, f, sums);
        }
      }
      __syncthreads();
    }
  }

 private:
  float* own_;  // f floats, up to a multiple of 4, aligned to 16 bytes
};

}  // namespace sartor::cuda
