// The table of one instruction set. Its name is the only symbol that leaves the instruction set's namespace.

#include "kernel-table.h"

#include "kernels.h"

#define STOA_TEXT_OF(name) #name
#define STOA_TEXT(name) STOA_TEXT_OF(name)

namespace stoa {
namespace STOA_ISA {

extern const KernelTable table;
const KernelTable table = {
    STOA_TEXT(STOA_ISA), solveByCholesky, solveByConjugateGradients, solveBySubspaces, addLoss,
    eigenbasis,          rotate,  rotateExactly,   toHalf,                    greatest,         addPackedGram,
    squaredNorms,        fillPanels,      topN,                      scorePairs,
    descendPairs,        descendRatings,  sumRows,
};

}  // namespace STOA_ISA
}  // namespace stoa
