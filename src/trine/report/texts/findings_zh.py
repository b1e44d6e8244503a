"""What each finding says, in Chinese. Same rules and placeholders as `findings_en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from trine.report.texts import FindingText

FINDINGS: Mapping[str, FindingText] = MappingProxyType(
    {
        "partial_run": FindingText(
            title="本次运行被中断",
            why="运行提前结束（{note}）。保留了 {passes} 次完整的前向，"
            "其中 {measured} 次属于正式测量；中断时正在进行的那一次没有留下记录。",
            fix="与其他结果对比之前，请先完整地重跑一遍。",
        ),
        "numeric_check": FindingText(
            title="{stage} 阶段输出有误：{operators} 的速度不予给出",
            why="用 NumPy 参考实现，以各算子自身记录到的输入重新计算被检查的层："
            "{checked} 项检查中有 {failed} 项未通过。算得再快，结果不对，速度就没有意义。",
            fix="在查明差异之前，不要采信这些算子的耗时：检查所加载的权重、"
            "缩放系数及其方向，或内核本身。",
        ),
        "above_roof": FindingText(
            title="{stage} 阶段有 {count} 个算子的速率超过物理上限，不予给出",
            why="建模的字节数和运算量都是下限，因此速率不可能超过实测最佳值的 1.15 倍："
            "{operators} 的字节模型、假定的存储层级或上限探测值必有一处有误。",
            fix="在空闲的机器上重测，让探测值达到真实上限；若仍被拒绝，"
            "说明这些算子的代价模型有误，请反馈该问题。",
        ),
        "busy_machine": FindingText(
            title="其他负载抢占了 CPU 核心：每线程每秒 {rate:,.0f} 次非自愿切换",
            why="在 {seconds:,.1f} s 的正式测量中，内核共 {switches:,} 次把线程从核心上换下；"
            "在 docs/log.md 所记的空闲机器上，该值低于每线程每秒 {usual:,.0f} 次。"
            "协同计算的两个线程中只要有一个在等待核心，另一个也只能等待，因此小算子受影响最大。",
            fix="停掉其他负载后重新测量。",
        ),
        "unstable": FindingText(
            title="{stage} 阶段各次重复的耗时波动过大：P90/P10 = {ratio:.2f}",
            why="{passes} 次正式测量中，P90 与 P10 之比为 {ratio:.2f}（每次前向先除以同一步的中"
            "位数；全部前向的范围为 {p10_ms:,.1f} 至 {p90_ms:,.1f} ms）。"
            "要么是其他负载干扰了测量，要么是进程自身的行为发生了变化，例如内存分配器开始或停止复用某个内存块。",
            fix="所有数值都应结合置信区间来看。请停掉其他负载、固定 CPU 频率，或增大 `--repeat`。",
        ),
        "unattributed": FindingText(
            title="{stage} 阶段有 {share:.1%} 的时间不属于任何算子",
            why="已记录的算子之间有 {gaps} 处未命名的间隙。这些时间确实存在，"
            "但算子表无法说明其中做了什么。",
            fix="每处间隙以其前后两个算子命名，请检查二者之间的代码：hook、"
            "包装器或被改动过的模型类。",
        ),
        "recorder_overhead": FindingText(
            title="记录器自身占 {stage} 的 {share:.1%}",
            why="按其自身时钟，一次热态前向中记录器用去 {recorder_ms:,.2f} ms，共 {events} 个事件。"
            "这部分时间落在算子之间，不计入算子时间。",
            fix="从墙钟时间中减去这一项。模型越大、提示词越长，该占比越小。",
        ),
        "compile_first_call": FindingText(
            title="首次前向中 torch.compile 耗时 {seconds:.1f} s",
            why="冷态的这次前向编译了 {graphs} 个计算图，占其耗时的 {share:.1%}，"
            "磁盘缓存命中 {cache_hits} 次。仅 `{record}` 一处就付出了 {record_seconds:.1f} s。"
            "这既不是权重加载，也不是算子本身的开销，每个进程只发生一次。",
            fix="对外服务前先预热，并在进程之间保留 Inductor 缓存（把 `TORCHINDUCTOR_CACHE_DIR` "
            "设到持久化的磁盘上），之后的进程即可直接加载本次编译的代码。",
        ),
        "compile_new_shape": FindingText(
            title="{stage} 阶段在首次编译之后又触发 torch.compile，共 {seconds:.1f} s",
            why="首次编译之后，又有 {events} 次调用触发编译，共 {graphs} 个计算图："
            "{operators}（算子及次数）。其中 {new_shapes} 次调用的形状在同类算子中未曾出现过。"
            "预热没有覆盖到的部分，其编译时间都要由用户承担。",
            fix="用实际会出现的所有形状预热：至少一次多 token 的 prefill 和一步 decode。",
        ),
        "compile_in_measured": FindingText(
            title="{stage} 阶段的正式测量中仍有 torch.compile 编译",
            why="{passes} 次正式测量中有 {events} 次调用触发编译（{operators}），"
            "平均每次前向 {mean_ms:,.1f} ms。所谓的热态数据里混入了冷启动工作；"
            "常见原因是形状不断变化，或已达到重编译次数上限。",
            fix="增大 `--warmup`，直到本条结论消失；若仍存在，请查看 `TORCH_LOGS=recompiles` 打"
            "印的重编译原因。",
        ),
        "cold_share": FindingText(
            title="首次 {stage} 前向耗时是热态的 {ratio:.1f} 倍",
            why="冷态 {cold_ms:,.0f} ms，热态 {warm_ms:,.1f} ms（中位数）；"
            "冷态中有 {compile_ms:,.0f} ms 是 torch.compile。"
            "冷态前向有 {cold_faults:,} 次缺页（minor fault），热态为 {warm_faults:,.0f} 次；"
            "冷态占用内核 CPU 时间 {cold_system_ms:,.0f} ms，其余的等待没有测量。",
            fix="让进程常驻，在第一个请求之前完成预热；只在热态数据之间作对比。",
        ),
        "requantise_every_call": FindingText(
            title="每次调用都重新量化权重：占 {stage} 阶段的 {share:.1%}",
            why="`online` 模式在每次前向中由主权重（master weights）重新计算三值权重：矩阵读两遍，"
            "再写出并读回一份稠密的临时矩阵。{bitlinears} 个三值算子中有 {dissected} 个做了分步"
            "计时（{tokens} 个 token），该步骤占其调用时间的 {call_share:.1%}；"
            "未分步计时的算子不计入，token 数少于此值时该占比为下限。"
            "各步骤之和为整次调用的 {parts_low:.0%} 至 {parts_high:.0%}。",
            fix="只在加载时量化一次：`--mode offline` 得到的是同一个三值模型。",
        ),
        "unpack_every_call": FindingText(
            title="每次调用都解包 2 bit 权重：占 {stage} 阶段的 {share:.1%}",
            why="`packed` 模式在每次前向中先把 2 bit 权重展开成稠密矩阵，再用它做矩阵乘，"
            "因此 GEMM 读到的从来不是压缩后的权重。{bitlinears} 个三值算子中有 {dissected} 个做"
            "了分步计时（{tokens} 个 token），该步骤占其调用时间的 {call_share:.1%}；"
            "未分步计时的算子不计入，token 数少于此值时该占比为下限。"
            "各步骤之和为整次调用的 {parts_low:.0%} 至 {parts_high:.0%}。",
            fix="内存允许时在加载时一次性解包（`--mode offline`），"
            "或改用直接在 2 bit 权重上计算的内核。",
        ),
        "parts_disagree": FindingText(
            title="分步计时不足以解释整次调用",
            why="{operators} 的各步骤之和为整次调用的 {parts_low:.0%} 至 {parts_high:.0%}，"
            "超出 90 % 至 110 % 的范围：分步运行时缓存与内存分配器的状态不同，"
            "或者调用中还有未列出的工作。由此得出的占比和影响只是估计。",
            fix="与这些占比相比，应优先采信整次调用的时间，以及换一种模式的实测结果。",
        ),
        "slow_dtype": FindingText(
            title="在这台机器上，{dtype} 的耗时是 {other} 的 {ratio:.2f} 倍",
            why="对两种类型都计时的算子（{operators}），一次 {stage} 前向在 {dtype} 下为 "
            "{before_ms:,.1f} ms，换成 {other} 预计为 {after_ms:,.1f} ms。没有测量的算子不计入。",
            fix="尝试 `--dtype {other}`，并核对由此带来的精度损失。",
        ),
        "page_fault_storm": FindingText(
            title="临时张量每次调用都重新映射：{stage} 阶段发生 {faults:,} 次缺页",
            why="{operators} 的调用中有 {calls_share:.0%} 触发缺页，"
            "每次最多 {faults_per_call:,} 次："
            "一次前向共 {faulted_mb:,.0f} MB 新页，而建模的临时数据为 {temporary_mb:,.0f} MB。"
            "最大 {block_mb:.1f} MB 的内存块超过了 glibc 的 mmap 阈值，于是每块都要经历映射、"
            "逐页清零、再解除映射。内核在所有线程上共用去 {system_ms:,.0f} ms CPU 时间；"
            "影响按内核占 CPU 时间的比例乘以这些调用的墙钟时间（{time_ms:,.0f} ms）计算，"
            "若有线程在自旋等待则会偏小。",
            fix="在进程启动前设置本条给出的环境变量，让这些内存块留在堆上。"
            "若所用 glibc 把 mmap 阈值限制在 32 MiB，会忽略更大的值，"
            "此时可改用 `MALLOC_MMAP_MAX_=0`。代价是这部分内存由进程一直占用。",
        ),
        "swapping": FindingText(
            title="{stage} 阶段的正式测量中有 {faults:,} 页从存储设备读入",
            why="主缺页（major fault）要等待存储设备：在 {passes} 次正式测量中，内存被换出，"
            "或映射文件的页缓存被回收。进程常驻内存 {rss_gb:.1f} GB，"
            "启动时可用内存 {available_gb:.1f} GB，交换空间 {swap_gb:.1f} GB。"
            "影响为这些调用超出所属算子单次调用中位数的时间。",
            fix="释放内存，或减少解码层数（`--layers`），或使用更小的数据类型。",
        ),
        "thread_oversubscription": FindingText(
            title="{threads} 个线程共用 {cores:g} 个核",
            why="按亲和性进程可用 {affinity} 个核（cgroup 配额：{quota}），线程只能轮流运行，"
            "每个并行循环都要等待尚未被调度的线程。一次前向最多有 {switches:,.0f} 次非自愿上下文"
            "切换。",
            fix="使用 `--threads {advised}`。",
        ),
        "bandwidth_bound": FindingText(
            title="{stage} 阶段 {share:.1%} 的时间受限于内存带宽",
            why="{operators} 已达到本机实测带宽的 {roof_low:.0%} 至 {roof_high:.0%}，"
            "一次前向搬运 {gigabytes:.2f} GB。字节数不变时，几乎没有提升空间。",
            fix="只有减少字节数才有效：更小的数据类型、由内核直接读取的打包三值权重，"
            "或让一遍权重服务更多 token（批处理）。",
        ),
        "compute_bound": FindingText(
            title="{stage} 阶段 {share:.1%} 的时间受限于算力",
            why="{operators} 已达到本机实测峰值的 {roof_low:.0%} 至 {roof_high:.0%}，"
            "一次前向 {gigaops:.1f} GOP。运算量不变时，几乎没有提升空间。",
            fix="只有减少运算量或降低单次运算的代价才有效：用整数点积代替浮点运算，"
            "或减少 token 数（复用前缀缓存）。",
        ),
        "attention_bound": FindingText(
            title="上下文长度为 {context} 时，注意力占 {stage} 阶段的 {share:.1%}",
            why="{operators} 不使用三值权重；其运算量和 KV 缓存的字节数随上下文增长，"
            "量化权重对此没有帮助。",
            fix="缩短上下文、降低 KV 缓存的位宽，或使用融合的注意力内核以及无需逐步复制的缓存。",
        ),
        "all_position_logits": FindingText(
            title="prefill 计算了 {positions} 个位置的 logits，而只需要一个",
            why="`lm_head` 处理 {positions} 个位置耗时 {head_ms:,.1f} ms，"
            "一个位置只需 {one_ms:,.1f} ms（取自 decode 实测；"
            "没有 decode 时按实测带宽读一遍权重估算）。影响为两者之差，占 prefill 的 {share:.1%}，"
            "且不超过 {bound_ms:,.1f} ms（除最后一个以外的所有位置）。",
            fix="只请求最后一个位置：调用模型时传入 `logits_to_keep=1`。"
            "`generate()` 会自动这样做；本次运行与被对照的脚本一样，直接调用模型。",
        ),
        "lm_head_share": FindingText(
            title="lm_head 占 {stage} 阶段的 {share:.1%}",
            why="输出头是稠密的 {dtype} 矩阵：{head_mb:,.0f} MB，"
            "占一次前向建模字节数的 {byte_share:.1%}，耗时 {time_ms:,.1f} ms。它不是三值矩阵，"
            "对 BitLinear 的任何优化都不会让它变快。",
            fix="用比 {dtype} 更低的位宽存放输出头，并核对由此带来的精度损失。",
        ),
        "mlp_attention_split": FindingText(
            title="{stage} 阶段中 {block} 以 {ops_share:.1%} 的运算量占去 {share:.1%} 的层内时间",
            why="MLP 耗时 {mlp_ms:,.1f} ms，注意力（含投影）{attention_ms:,.1f} ms"
            "（归一化与残差加法不计入两者）。{block} 占其中时间的 {share:.1%}，"
            "却只占运算量的 {ops_share:.1%}；影响为超出其运算量占比的那部分时间。",
            fix="先查 {block} 的各个算子：它们的耗时无法由运算量解释。",
        ),
        "amdahl_bitlinear": FindingText(
            title="主体权重存为 2 bit 之后，"
            "只加速 BitLinear 在 decode 中最多再快 {byte_bound:.1f} 倍"
            "（以本次运行的现状计为 {time_bound:.1f} 倍）",
            why="按本次运行的时间，BitLinear 占一步的 {bitlinear_share:.1%}，"
            "理论加速比上限为 {time_bound:.1f}。但主体权重以 2 bit 存放后只有 {body_mb:,.0f} MB，"
            "每一步仍要读写其他 {other_mb:,.0f} MB（lm_head 占总和的 {head_share:.1%}）。"
            "decode 受限于字节数，因此即使 BitLinear 无限快，"
            "此后的加速比上限也只有 ({body_mb:,.0f} + {other_mb:,.0f}) / {other_mb:,.0f} = "
            "{byte_bound:.2f}。",
            fix="同时缩减其他读写中最大的部分，首先是 lm_head；规划加速器时要把它计算在内。",
        ),
        "fix_verified": FindingText(
            title="已实测 {fixed} 的修复措施：节省 {measured_gain_ms:,.1f} ms",
            why="一次热态 {stage} 前向原为 {before_ms:,.1f} ms（P10 至 P90 为 {before_low_ms:,.1f}"
            " 至 {before_high_ms:,.1f}），缺页 {before_faults:,.0f} 次；在另一个进程中修复后实测为 "
            "{after_ms:,.1f} ms（{after_low_ms:,.1f} 至 {after_high_ms:,.1f}），缺页 "
            "{after_faults:,.0f} 次。预测值 {predicted_ms:,.1f} ms 为原耗时减去该结论的影响："
            "预测节省 {predicted_gain_ms:,.1f} ms，实测节省 {measured_gain_ms:,.1f} ms。"
            "两次运行先后进行，并非交替执行，期间机器状态的变化也包含在差值中。",
            fix="若实测收益值得，就设置这些环境变量；若收益与预测相差很大，"
            "说明该结论并非全部原因。",
        ),
    }
)
