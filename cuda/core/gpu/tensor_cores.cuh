// Instructions of sm_80 and newer for products of tiles: matrix multiply-accumulate by a warp, the loads that fill its
// fragments, and asynchronous copies to shared memory. Fragments have the layouts of the PTX manual: in a 16 x 8 tile,
// lane l has the elements of row l / 4 (and row l / 4 + 8) and columns 2 (l % 4) and 2 (l % 4) + 1.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

namespace sartor::cuda {

using Sums16x8 = float[4];  // rows l / 4, then l / 4 + 8; two columns each

// sums += a b of 16 x 16 and 16 x 8 elements, two to a register. a: as ldmatrix_x4 loads it; b: as ldmatrix_x2 does
// from b transposed, (8, 16).
template <class Element>
__device__ inline void multiply_add(Sums16x8& sums, const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  static_assert(sizeof(Element) == 2);
  if constexpr (std::is_same_v<Element, __half>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
}

// The same for 16 x 8 and 8 x 8 elements of TF32, the bits of an fp32 number of which the last 13 are ignored. a: rows
// l / 4 and l / 4 + 8 of column l % 4, then of column l % 4 + 4; b: columns l / 4 of rows l % 4 and l % 4 + 4.
__device__ inline void multiply_add_tf32(Sums16x8& sums, const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// products = a b: the same without sums to start from, so that nothing has to be set to 0.
__device__ inline void multiply_tf32(Sums16x8& products, const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
      : "=f"(products[0]), "=f"(products[1]), "=f"(products[2]), "=f"(products[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(0.0f));
}

// The nearest TF32 number, ties away from zero.
__device__ inline uint32_t to_tf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

// Two TF32 numbers whose sum differs from x by at most 2^-22 |x|.
__device__ inline void split_tf32(float x, uint32_t& high, uint32_t& low) {
  high = to_tf32(x);
  low = to_tf32(x - __uint_as_float(high));
}

__device__ inline uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

// Loads four 8 x 8 tiles of 16-bit elements. Lane l gives the address of row l % 8 of tile l / 8, aligned to 16 bytes.
__device__ inline void ldmatrix_x4(uint32_t (&to)[4], uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(row)
               : "memory");
}
__device__ inline void ldmatrix_x4(uint32_t (&to)[4], const void* row) { ldmatrix_x4(to, shared_address(row)); }
// Each tile transposed.
__device__ inline void ldmatrix_x4_transposed(uint32_t (&to)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row)));
}

// Starts a copy of 16 bytes from global to shared memory, both aligned to 16. `bytes` of them are read, the rest of
// `to` becomes 0; with bytes 0, `from` is not read but must be a valid address.
__device__ inline void copy_async_16(void* to, const void* from, int bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes)
               : "memory");
}
// The same for 4 bytes, aligned to 4.
__device__ inline void copy_async_4(void* to, const void* from, int bytes = 4) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes)
               : "memory");
}
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most `pending` of this thread's groups are under way. Other threads see the data after a barrier.
template <int pending> __device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

}  // namespace sartor::cuda
