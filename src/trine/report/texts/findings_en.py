"""What each finding says, in English. Placeholders are the values of `trine.profiling.findings`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from trine.report.texts import FindingText

FINDINGS: Mapping[str, FindingText] = MappingProxyType(
    {
        "partial_run": FindingText(
            title="The run was interrupted",
            why="It ended early ({note}). Complete passes kept: {passes}, measured: {measured}; "
            "the pass in progress left no records.",
            fix="Repeat the run to the end before comparing its figures with others.",
        ),
        "numeric_check": FindingText(
            title="Wrong output in the {stage}: the speeds of {operators} are refused",
            why="Each operator of the checked layers was computed again from its own recorded "
            "input by the NumPy reference: {failed} of {checked} checks failed. A fast operator "
            "that computes something else has no speed to speak of.",
            fix="Find out what differs before reading any time of these operators: the weights "
            "that were loaded, their scale and its direction, or the kernel.",
        ),
        "above_roof": FindingText(
            title="Figures of the {stage} above a physical ceiling are refused: {count}",
            why="Modelled bytes and OPs are minima, so a rate above 1.15 times the best probe is "
            "impossible: for {operators} the modelled bytes, the assumed memory level or the "
            "probe is wrong.",
            fix="Repeat the run on an idle machine, so that the probes reach the roof. If the "
            "refusal stays, the cost model of these operators is wrong; please report it.",
        ),
        "busy_machine": FindingText(
            title="Other work took the cores away: {rate:,.0f} involuntary switches a second and "
            "thread",
            why="In {seconds:,.1f} s of measured passes the kernel took threads off their core "
            "{switches:,} times; on the quiet machine of docs/log.md it was below {usual:,.0f} a "
            "second and thread. Where one of two cooperating threads waits for its core, the other "
            "waits with it, so small operators suffer most.",
            fix="Stop other work and measure again.",
        ),
        "unstable": FindingText(
            title="Repetitions of the {stage} spread by a factor of {ratio:.2f}",
            why="The 90th percentile of {passes} measured passes is {ratio:.2f} times the 10th, "
            "each pass taken against the median of its own step ({p10_ms:,.1f} to {p90_ms:,.1f} ms "
            "over all of them). Either other work disturbed the run, or the process itself "
            "changed its behaviour, as an allocator does when it stops or starts to reuse a block.",
            fix="Read every figure with its interval. Stop other work, fix the CPU frequency, or "
            "raise `--repeat`.",
        ),
        "unattributed": FindingText(
            title="{share:.1%} of the {stage} belongs to no operator",
            why="Some gaps between recorded operators ({gaps}) have no name. They are real time, "
            "but the operator table cannot say what was done in it.",
            fix="Look for code between the two neighbours that name each gap: hooks, wrappers or "
            "a changed model class.",
        ),
        "recorder_overhead": FindingText(
            title="The recorder takes {share:.1%} of the {stage}",
            why="It spent {recorder_ms:,.2f} ms of a warm pass on its own clock, for {events} "
            "events. That time lies between the operators, not in their times.",
            fix="Subtract it from the wall time. A larger model or a longer prompt makes the share "
            "smaller.",
        ),
        "compile_first_call": FindingText(
            title="torch.compile takes {seconds:.1f} s of the first pass",
            why="Graphs compiled in the cold pass: {graphs}, {share:.1%} of its time; hits in the "
            "on-disk cache: {cache_hits}. `{record}` alone paid {record_seconds:.1f} s. "
            "This is neither weight loading nor the operator itself; it happens once a process.",
            fix="Warm up before serving, and keep the Inductor cache between processes "
            "(`TORCHINDUCTOR_CACHE_DIR` on a disk that stays): a later process then loads the "
            "code that this one compiled.",
        ),
        "compile_new_shape": FindingText(
            title="torch.compile runs again after the first call: {seconds:.1f} s in the {stage}",
            why="Calls after the first compiled one that compiled once more: {events}, graphs: "
            "{graphs} ({operators}; operator and count). {new_shapes} of these calls had shapes "
            "that no earlier call of their kind had. What the warm-up does not cover will be paid "
            "for by a user.",
            fix="Warm up with every shape that will occur: one prefill of several tokens and one "
            "decode step at least.",
        ),
        "compile_in_measured": FindingText(
            title="torch.compile ran inside measured passes of the {stage}",
            why="Calls that compiled in {passes} measured passes: {events} ({operators}), "
            "{mean_ms:,.1f} ms a pass on average. The warm figures contain cold work; shapes that "
            "go on changing, or a full recompile limit, are the usual reasons.",
            fix="Raise `--warmup` until this finding disappears. If it stays, look at the reasons "
            "that `TORCH_LOGS=recompiles` prints.",
        ),
        "cold_share": FindingText(
            title="The first {stage} pass takes {ratio:.1f} times as long as a warm one",
            why="Cold {cold_ms:,.0f} ms, warm {warm_ms:,.1f} ms (median); {compile_ms:,.0f} ms of "
            "the cold pass are torch.compile. It had {cold_faults:,} minor page faults, a warm one "
            "{warm_faults:,.0f}, and used {cold_system_ms:,.0f} ms of kernel CPU time; what else "
            "it waited for was not measured.",
            fix="Keep the process alive and warm it up before the first request; compare warm "
            "figures with warm figures only.",
        ),
        "requantise_every_call": FindingText(
            title="Weights are quantised again at every call: {share:.1%} of the {stage}",
            why="The mode `online` computes the ternary weights from the master weights in each "
            "forward: two reads of the matrix, and a dense temporary written and read again. On "
            "{dissected} of {bitlinears} ternary operators, timed apart at T = {tokens}, this "
            "is {call_share:.1%} of the call; operators that were not timed apart are not "
            "counted, and with fewer tokens than that the share is a lower bound. The steps add "
            "up to between {parts_low:.0%} and {parts_high:.0%} of the whole call.",
            fix="Quantise once, at load: `--mode offline` holds the same ternary model.",
        ),
        "unpack_every_call": FindingText(
            title="2-bit weights are unpacked at every call: {share:.1%} of the {stage}",
            why="The mode `packed` spreads the 2-bit weights to a dense matrix in each forward "
            "and multiplies with that, so the small weights are never what the GEMM reads. On "
            "{dissected} of {bitlinears} ternary operators, timed apart at T = {tokens}, this "
            "is {call_share:.1%} of the call; operators that were not timed apart are not "
            "counted, and with fewer tokens than that the share is a lower bound. The steps add "
            "up to between {parts_low:.0%} and {parts_high:.0%} of the whole call.",
            fix="Unpack once, at load (`--mode offline`), where memory allows; or use a kernel "
            "that computes on the 2-bit weights directly.",
        ),
        "parts_disagree": FindingText(
            title="The steps timed apart do not explain the whole call",
            why="For {operators} the steps add up to between {parts_low:.0%} and "
            "{parts_high:.0%} of the call, outside 90 % to 110 %: timed apart they run with other "
            "cache and allocator states, or the call does work that no step names. Shares and "
            "effects derived from them are estimates.",
            fix="Rely on whole-call times and on a run in the other mode, not on these shares.",
        ),
        "slow_dtype": FindingText(
            title="{dtype} takes {ratio:.2f} times as long as {other} here",
            why="On the operators that were timed in both ({operators}), one {stage} pass takes "
            "{before_ms:,.1f} ms in {dtype} and would take {after_ms:,.1f} ms in {other}. "
            "Operators without a measurement are not counted.",
            fix="Try `--dtype {other}`, and check the accuracy that it costs.",
        ),
        "page_fault_storm": FindingText(
            title="Temporaries are mapped anew at every call: {faults:,} page faults in the "
            "{stage}",
            why="{calls_share:.0%} of the calls of {operators} fault up to {faults_per_call:,} "
            "times each: {faulted_mb:,.0f} MB of fresh pages in a pass, against "
            "{temporary_mb:,.0f} MB of modelled temporaries. "
            "Blocks up to {block_mb:.1f} MB lie above glibc's mmap threshold, so each is mapped, "
            "zeroed page by page and unmapped again. The kernel used {system_ms:,.0f} ms of CPU "
            "time on all threads; the effect is its share of the CPU time times the wall time of "
            "these calls ({time_ms:,.0f} ms), and too small where threads wait spinning.",
            fix="Keep such blocks on the heap: set this finding's variables before the process "
            "starts. A glibc that caps the mmap threshold at 32 MiB ignores a larger one; there "
            "`MALLOC_MMAP_MAX_=0` does the same. The price is memory that stays with the process.",
        ),
        "swapping": FindingText(
            title="Pages read from storage during measured passes of the {stage}: {faults:,}",
            why="A major fault waits for storage: memory was swapped out, or a mapped file was "
            "dropped from the page cache, in {passes} measured passes. The process held "
            "{rss_gb:.1f} GB; {available_gb:.1f} GB were available at the start, and the swap "
            "space is {swap_gb:.1f} GB. The effect is what these calls took beyond their "
            "operator's median call.",
            fix="Free memory, or profile fewer decoder layers (`--layers`) or a smaller dtype.",
        ),
        "thread_oversubscription": FindingText(
            title="More threads ({threads}) than cores ({cores:g})",
            why="Cores that the process may use: {affinity} by affinity, cgroup quota {quota}. So "
            "threads take turns, and each parallel loop waits for the one that is not running. "
            "Up to {switches:,.0f} involuntary context switches a pass were counted.",
            fix="Use `--threads {advised}`.",
        ),
        "bandwidth_bound": FindingText(
            title="{share:.1%} of the {stage} runs at the memory's speed",
            why="{operators} reach {roof_low:.0%} to {roof_high:.0%} of the bandwidth measured "
            "here, moving {gigabytes:.2f} GB a pass. At the same bytes there is little left to "
            "gain.",
            fix="Only fewer bytes help: a smaller dtype, packed ternary weights that the kernel "
            "reads as they are, or more tokens per pass over the weights (batching).",
        ),
        "compute_bound": FindingText(
            title="{share:.1%} of the {stage} runs at the speed of the arithmetic units",
            why="{operators} reach {roof_low:.0%} to {roof_high:.0%} of the peak measured here, "
            "{gigaops:.1f} GOP a pass. With the same operations there is little left to gain.",
            fix="Only fewer or cheaper operations help: integer dot products instead of floating "
            "point, or fewer tokens (a cached prefix).",
        ),
        "attention_bound": FindingText(
            title="Attention takes {share:.1%} of the {stage} at a context of {context}",
            why="{operators} do not use ternary weights; their work and the bytes of the KV cache "
            "grow with the context, and quantised weights do not change that.",
            fix="Shorten the context, store the KV cache in fewer bits, or use a fused attention "
            "kernel and a cache that is not copied at each step.",
        ),
        "all_position_logits": FindingText(
            title="The prefill computes logits for {positions} positions and needs one",
            why="`lm_head` takes {head_ms:,.1f} ms for {positions} positions; one position takes "
            "{one_ms:,.1f} ms (as measured in decode, else one read of its weights at the "
            "measured bandwidth). The effect is the difference, {share:.1%} of the prefill, and "
            "at most {bound_ms:,.1f} ms (all positions but one).",
            fix="Ask for the last position only: `logits_to_keep=1` in the call of the model. "
            "`generate()` does so by itself; this run calls the model directly, as the measured "
            "script did.",
        ),
        "lm_head_share": FindingText(
            title="lm_head takes {share:.1%} of the {stage}",
            why="The head is a dense {dtype} matrix: {head_mb:,.0f} MB, {byte_share:.1%} of the "
            "modelled bytes of a pass, {time_ms:,.1f} ms. It is not ternary, so no work on "
            "BitLinear makes it faster.",
            fix="Store the head in fewer bits than {dtype} and check the accuracy that it costs.",
        ),
        "mlp_attention_split": FindingText(
            title="{block} takes {share:.1%} of the {stage}'s layer time with {ops_share:.1%} of "
            "its operations",
            why="The MLP takes {mlp_ms:,.1f} ms and attention with its projections "
            "{attention_ms:,.1f} ms (norms and residual additions are neither). {block} has "
            "{share:.1%} of that time and {ops_share:.1%} of the operations; the effect is the "
            "time beyond its share of the operations.",
            fix="Look at the operators of {block} first: their time is not explained by their "
            "operations.",
        ),
        "amdahl_bitlinear": FindingText(
            title="With a 2-bit body, accelerating BitLinear alone would gain at most "
            "{byte_bound:.1f}x more in decode ({time_bound:.1f}x from this run as it is)",
            why="By the time of this run BitLinear is {bitlinear_share:.1%} of a step, which "
            "would allow {time_bound:.1f}x. But once the body is stored at 2 bits it is "
            "{body_mb:,.0f} MB, and {other_mb:,.0f} MB of other traffic remain in each step "
            "(lm_head: {head_share:.1%} of the sum). Decode is bound by bytes, so even with an "
            "infinitely fast BitLinear ({body_mb:,.0f} + {other_mb:,.0f}) / {other_mb:,.0f} = "
            "{byte_bound:.2f}x is the limit from there.",
            fix="Shrink the largest part of the other traffic too, first of all the lm_head; count "
            "it in when planning an accelerator.",
        ),
        "fix_verified": FindingText(
            title="The fix for {fixed} was tried: {measured_gain_ms:,.1f} ms gained",
            why="One warm {stage} pass took {before_ms:,.1f} ms (p10 to p90: {before_low_ms:,.1f} "
            "to {before_high_ms:,.1f}) with {before_faults:,.0f} page faults; in a second process "
            "with the fix {after_ms:,.1f} ms ({after_low_ms:,.1f} to {after_high_ms:,.1f}) with "
            "{after_faults:,.0f}. The prediction was {predicted_ms:,.1f} ms, the time before less "
            "the finding's effect: {predicted_gain_ms:,.1f} ms to gain, measured "
            "{measured_gain_ms:,.1f} ms. The runs follow each other and are not interleaved, so a "
            "machine that changed in between is in the difference.",
            fix="Set the variables where the measured gain is worth it; a gain far from the "
            "prediction means that the finding is not the whole cause.",
        ),
    }
)
