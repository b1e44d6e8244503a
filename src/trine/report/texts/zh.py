"""The Chinese texts of a report: the same keys and placeholders as `texts.en`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TEXT: Mapping[str, str] = MappingProxyType(
    {
        "title": "BitNet b1.58 模型 CPU 推理性能分析报告：{model}",
        # 各节共用
        "separator": "、",
        "stage.prefill": "prefill",
        "stage.decode": "decode 单步",
        "pass.prefill.cold": "冷态 prefill",
        "pass.prefill.warmup": "预热 prefill",
        "pass.prefill.measured": "热态 prefill",
        "pass.decode.cold": "冷态 decode 单步",
        "pass.decode.warmup": "预热 decode 单步",
        "pass.decode.measured": "热态 decode 单步",
        "mode.online": "online（每次调用都重新量化权重）",
        "mode.offline": "offline（加载时已展开为三值权重）",
        "mode.packed": "packed（两位压缩权重，每次调用时解包）",
        "mode.native": "native（原生三值内核）",
        "cache.fresh": "编译缓存从空开始",
        "cache.none": "无需编译",
        "cache.keep": "沿用已有的编译缓存",
        "block.attention": "注意力",
        "block.mlp": "MLP",
        "block.norm": "归一化",
        "block.residual": "残差",
        "block.lm_head": "lm_head",
        "block.embedding": "词嵌入",
        "block.sampling": "采样",
        "block.other": "其他",
        "bound.memory": "访存",
        "bound.compute": "计算",
        "bound.overhead": "固定开销",
        # 首屏
        "head.run": "模型 {model}，运行模式 {mode}，数据类型 {dtype}："
        "在 {cpu} 上以 {threads} 个线程完成 {tokens} 个 token 的 prefill 和 {decode} 步 decode。",
        "warn.synthetic.title": "权重为合成数据",
        "warn.synthetic": "权重由固定种子（seed {seed}）随机生成，张量形状与模型名称所指的几何结构"
        "一致。耗时、字节数和运算量就是该形状模型的数值，与权重取值无关；生成的 token 没有意义。"
        "加载时间是生成权重的时间。",
        "warn.reduced.title": "缩减模型：只运行了 {n} 层（共 {total} 层）",
        "warn.reduced": "报告中的所有数据只针对实际运行的 {n} 层，没有外推到 {total} 层。",
        "warn.partial.title": "运行未完成",
        "warn.partial": "运行提前结束（{note}）。已完成的 {passes} 次前向数据完整，"
        "其余部分不作估计。",
        "card.speed": "{rate} tok/s，上限 {ceiling}",
        "card.compile": "其中编译 {ms} ms",
        "card.load": "模型加载",
        "card.rss": "加载后常驻内存 {rss}，其中文件映射 {file}",
        "card.recorder": "记录器开销",
        "card.overhead": "占一次热态 prefill（记录器自身计时）",
        "key.pass": "前向类型",
        "key.passes": "次数",
        "key.tokens": "token 数",
        "key.median": "中位数 (ms)",
        "key.p10_p90": "p10 – p90 (ms)",
        "key.interval": "中位数的 95% 置信区间 (ms)",
        "key.rate": "tok/s",
        "key.bytes": "单次前向访存量",
        "key.ceiling": "上限 (tok/s)",
        "key.of_ceiling": "达到上限的比例",
        "key.note": "上限取两者中较低的一个：token 数 /（单次前向的模型字节数 / {roof} GB/s，"
        "即本次运行期间实测的最高 DRAM 读带宽）；对 float32 的 PyTorch 运行，"
        "还有 token 数 /（单次前向的 OPs / {fp32} GOPS），对原生引擎是 token 数 /"
        "（其 BitLinear 的 OPs / {int8} GOPS）。若数据常驻缓存，实际速度可以超过前者。",
        "setup.what": "运行环境",
        "setup.value": "取值",
        "setup.model": "模型",
        "setup.model.value": "{id}，参数量 {parameters}，其中三值参数 {ternary}，"
        "运行 {layers} 层（共 {total} 层）",
        "setup.weights": "权重",
        "setup.weights.value": "{origin}，占用 {size}",
        "setup.synthetic": "合成，种子 {seed}",
        "setup.mode": "模式与数据类型",
        "setup.machine": "机器",
        "setup.hypervisor": "，虚拟机",
        "setup.cores": "核心与线程",
        "setup.cores.value": "逻辑核 {logical}，物理核 {physical}，可用核 {affinity}，"
        "cgroup 配额 {quota}；使用 {threads} 个线程",
        "setup.memory": "内存与缓存",
        "setup.memory.value": "内存 {total}，加载前可用 {available}；L2 {l2}，L3 {l3}",
        "setup.simd": "SIMD",
        "setup.versions": "软件版本",
        "setup.settings": "运行设置",
        "setup.settings.value": "提示 {tokens} 个 token，decode {decode} 步，预热 {warmup} 轮，"
        "测量 {repeat} 轮，{cache}",
        "setup.environment": "环境变量",
        "setup.started": "开始时间",
        "setup.command": "命令",
        # 1 结构
        "structure.title": "1. 模型结构与数据流",
        "structure.intro": "模型为 Decoder-only Transformer，每层的七个投影均为 BitLinear："
        "权重取三值，每个矩阵只有一个缩放系数；激活按 token 量化为 int8。",
        "structure.tree": "1.1 模块树",
        "structure.tree.intro": "`print(model)` 的输出如下：",
        "structure.flow": "1.2 数据流",
        "structure.flow.intro": "下表按实际执行顺序列出一次 prefill 的各个步骤，"
        "以第 {layer} 层代表所有解码层。",
        "structure.notable": "1.3 结构要点",
        "flow.step": "步骤",
        "flow.where": "位置",
        "flow.input": "输入",
        "flow.output": "输出",
        "flow.role": "作用",
        "where.outside": "层外",
        "where.layer": "每层",
        "role.embedding": "按 token ID 查表，取出对应的嵌入向量",
        "role.norm": "RMSNorm：除以均方根，再乘以可学习的权重",
        "role.bitlinear.online": "BitLinear：每次调用都重新量化浮点权重，输入按 token 量化，"
        "再做矩阵乘法并还原缩放",
        "role.bitlinear.offline": "BitLinear：三值权重以浮点存放；输入按 token 量化，"
        "再做矩阵乘法并还原缩放",
        "role.bitlinear.packed": "BitLinear：每次调用都解包两位权重，输入按 token 量化，"
        "再做矩阵乘法并还原缩放",
        "role.bitlinear.native": "BitLinear：直接在压缩的三值权重上做精确的整数点积",
        "role.linear": "稠密线性投影",
        "role.activation": "逐元素激活函数",
        "role.gating": "门控结果与 up 逐元素相乘",
        "role.rotary": "计算各位置的余弦和正弦，每次前向一次",
        "role.rope": "按位置旋转 Q 和 K",
        "role.attention": "softmax(QKᵀ/√d)·V，范围为当前 token 及之前的所有 K",
        "role.kv_update": "把新的 K、V 追加到 KV 缓存",
        "role.residual": "把模块输出加回残差流",
        "role.mask": "生成因果掩码，每次前向一次",
        "role.sampling": "选出下一个 token",
        "notable.residual": "每层有 {n} 次残差相加，分别位于这些算子之后：{after}。",
        "notable.sub_norm": "`attn_sub_norm` 位于 `o_proj` **之前**，归一化的是各注意力头的输出；"
        "MLP 中的 `ffn_sub_norm` 同样位于 `down_proj` 之前。",
        "notable.relu2": "MLP 采用 ReLU² 门控单元，即 relu(gate)²·up，不是 SwiGLU，"
        "不涉及 sigmoid 计算。",
        "notable.gqa": "采用分组查询注意力（GQA）：{heads} 个查询头（维度 {dim}）"
        "共享 {kv} 个 KV 头。",
        "notable.tied": "`lm_head` 与词嵌入共用同一个 {vocab} 行的矩阵。该矩阵不是三值的，"
        "每步 decode 都要完整读取一遍。",
        # 2 原始数据
        "raw.title": "2. 部分层的原始数据",
        "raw.none": "没有完成任何一次 prefill，因此没有数据可以展示。",
        "raw.intro": "下面给出首层在首次推理时的逐模块数据，以及某个中间层在热态下的数据。"
        "全部层的数据见 `raw_layer_data.csv`。",
        "raw.layer": "2.{number} 第 {layer} 层，{name}",
        "raw.name": "层名",
        "raw.type": "类型",
        "raw.input": "输入形状",
        "raw.time": "耗时 (ms)",
        "raw.compile": "编译 (ms)",
        "raw.faults": "次缺页",
        "raw.delta": "RSS 变化",
        "raw.rss": "RSS",
        "raw.sum": "各模块合计",
        "raw.note": "热态行为多次测量的中位数。RSS 变化带符号：调用中归还的内存显示为负值。",
        "raw.reading": "第 0 层整体（含注意力核心与各间隙）在冷态 prefill 中耗时 {cold} ms，"
        "热态下为 {warm} ms，两者之比为 {ratio}。该层各模块的冷态耗时中有 {compile} ms 用于编译。",
        "raw.reading.one_state": "只测量了一种状态，无法比较冷态与热态。",
        # 3 平均
        "average.title": "3. 单层各模块平均耗时",
        "average.intro": "每层耗时取中位数，并按模块归类。各模块包含其全部算子，注意力核心、"
        "RoPE 与 KV 更新也计入其中。",
        "average.stage": "3.{number} {name}：各模块耗时",
        "average.block": "模块",
        "average.time": "每层耗时 (ms)",
        "average.share": "占单层耗时",
        "average.wall": "占总时间",
        "average.ops": "每层 OPs",
        "average.ops_share": "占单层 OPs",
        "average.bytes": "每层字节数",
        "average.bytes_share": "占单层字节数",
        "average.layer": "单层",
        "average.note": "每层耗时：从第 1 层起，对各层中位数取平均。占总时间："
        "每层耗时乘以 {n} 层，再除以整次前向的中位数。",
        "average.split": "MLP 以 {mlp_ops} 的运算量和 {mlp_bytes} 的字节数占用了单层 {mlp} 的时间"
        "；注意力占 {attention}。",
        "average.outside": "层外部分：{ms} ms，占总时间的 {share}（{parts}）。",
        # 4 算子
        "operators.title": "4. 算子级性能分析",
        "operators.intro": "以下数据为所有层合计、按单次前向统计。"
        "每张表各行相加即为该前向的总时间中位数，没有遗漏。",
        "operators.stage": "4.{number} {name}：各算子",
        "operators.name": "算子",
        "operators.calls": "调用次数",
        "operators.call": "单次调用 (ms)",
        "operators.time": "单次前向 (ms)",
        "operators.spread": "p10 – p90 (ms)",
        "operators.share": "占总时间",
        "operators.ops": "OPs",
        "operators.ops_share": "占总 OPs",
        "operators.gops": "GOPS",
        "operators.gbytes": "GB/s",
        "operators.roof": "达到上限",
        "operators.bound": "受限于",
        "operators.faults": "次缺页",
        "operators.rss": "RSS 变化",
        "operators.passes": "数值为 {passes} 次前向的中位数。",
        "operators.passes.one": "数值来自单次前向。",
        "operators.note": "{passes}各比例的基数："
        "“占总时间”以该前向总时间的中位数为基数，“占总 OPs”以该前向的全部 OPs 为基数，"
        "“达到上限”以算子在其计算强度和数据所在存储层级下的实测可达速率为基数。OPs、GB/s、"
        "缺页与 RSS 变化均按单次前向计，字节数为模型值（见附录）。受限于固定开销："
        "两种上限都无法解释该耗时。",
        "operators.gaps": "未命名的间隙共 {n} 处，其中最长的是：{names}。",
        "operators.refused": "{name} 的速度不予显示：{reason}。原因见各项结论。",
        "row.gap": "间隙：{name}",
        "row.unattributed": "未归因",
        "row.recorder": "记录器",
        "row.rest": "余量（和的中位数 − 中位数之和）",
        "row.wall": "总时间",
        "row.refused": "不予显示",
        "findings.title": "4.3 瓶颈分析",
        "findings.intro": "以下结论由固定规则根据记录数据计算得出。"
        "影响指该结论在一次前向中对应的时间；各项影响之间有重叠，不可相加。",
        "findings.none": "没有规则判定出瓶颈。",
        "effect.share": "{ms} ms，占总时间的 {share}（{name}）",
        "effect.once": "{ms} ms，仅一次（{name}）",
        "effect.total": "{ms} ms",
        "findings.effect": "**影响**：{text}。",
        "findings.why": "**原因**：{text}",
        "findings.evidence": "**依据**：",
        "findings.fix": "**对策**：{text}",
        "findings.environment": "**需要设置的环境变量**：{text}",
        "trials.title": "对策验证",
        "trials.intro": "每项对策都在独立进程中实际启用，并重新测量热态耗时。",
        "trials.rule": "结论",
        "trials.pass": "前向类型",
        "trials.environment": "环境变量",
        "trials.before": "启用前 (ms)",
        "trials.predicted": "预测 (ms)",
        "trials.measured": "实测 (ms)",
        "trials.predicted_gain": "预测加速比",
        "trials.measured_gain": "实测加速比",
        "trials.faults": "缺页次数",
        "trials.note": "给出两次运行各自的中位数、P10 至 P90 以及单次前向缺页次数的中位数。"
        "加速比 = 启用前耗时 / 启用后耗时；预测值 = 启用前耗时减去该结论的影响。"
        "两次运行先后进行，并非交替执行。",
        "dissect.title": "算子内部拆解",
        "dissect.intro": "取单个算子自身的权重与输入，在前向之外对其各步骤分别计时，"
        "各步骤交替执行。",
        "dissect.operator": "算子",
        "dissect.tokens": "token 数",
        "dissect.note": "单位 ms；括号内为占整次调用的比例，整次调用与各步骤一同测量。",
        "step.sum": "各步骤合计",
        "step.whole": "整次调用",
        "step.weight_quant": "权重量化",
        "step.act_quant": "激活量化",
        "step.unpack": "解包",
        "step.linear": "矩阵乘法",
        "step.rescale": "还原缩放",
        "step.float32": "float32 下",
        "step.bfloat16": "bfloat16 下",
        # 4.4 与 4.5
        "roofline.title": "4.4 Roofline 分析",
        "roofline.intro": "本机的访存与计算上限由原生扩展在各轮测量之前、之间和之后实测得到，"
        "各算子的位置标在同一张图上。",
        "roofline.none": "没有实测上限，因此无法判断各算子与上限的距离。",
        "roofline.level": "上限",
        "roofline.isa": "指令集",
        "roofline.threads": "线程数",
        "roofline.best": "最高",
        "roofline.median": "中位数",
        "roofline.lowest": "最低",
        "roofline.probes": "探测次数",
        "roofline.note": "算子一律与最高的一次探测值比较：机器繁忙只会使上限测得偏低。"
        "最高与最低之差反映了机器的繁忙程度。",
        "anomalies.title": "4.5 异常现象：冷态与热态对比",
        "anomalies.intro": "每种前向的第一次单独统计，因为编译和内存的首次访问都发生在其中。",
        "cold.pass": "前向类型",
        "cold.cold": "冷态 (ms)",
        "cold.warm": "热态 (ms)",
        "cold.ratio": "冷态 / 热态",
        "cold.compile": "编译 (ms)",
        "cold.graphs": "编译的图",
        "cold.hits": "缓存命中",
        "cold.without": "扣除编译后的冷态 (ms)",
        "cold.note": "时间为单次前向的中位数；图数与缓存命中数为合计。运行开始时：{cache}。",
        "events.none": "运行期间没有发生任何编译。",
        "events.intro": "发生编译的调用共 {n} 次，其中出现在测量阶段的有 {late} 次。",
        "events.rest": "其余 {n} 次",
        "events.pass": "前向类型",
        "events.name": "算子",
        "events.input": "输入形状",
        "events.time": "调用耗时 (ms)",
        "events.compile": "编译 (ms)",
        "events.graphs": "编译的图",
        "events.hits": "缓存命中",
        # 5 总结
        "summary.title": "5. 总结与展望",
        "total.metric": "指标",
        "total.value": "数值",
        "total.meaning": "说明",
        "total.load": "模型加载时间",
        "total.load.note": "从开始读取到模型可以运行",
        "total.load.note.synthetic": "从开始生成合成权重到模型可以运行",
        "total.memory": "加载后内存",
        "total.memory.note": "常驻内存；加载前为 {before}，其中权重 {weights}",
        "total.peak": "最大常驻内存",
        "total.peak.note": "各次前向结束时的最大值",
        "total.pass.note": "{passes} 次前向（每次 {tokens} 个 token）的中位数，{rate} tok/s",
        "total.pass.note.one": "仅一次前向（{tokens} 个 token），{rate} tok/s",
        "total.layer": "热态 prefill 单层耗时",
        "total.layer.note": "从第 1 层起，{n} 层的平均值",
        "total.share": "{block}，{name}",
        "total.share.note": "占总时间中位数的比例",
        "next.title": "5.1 下一步",
        "next.intro": "按影响从大到小排列的对策：",
        "next.none": "没有结论要求做出改动。",
        "outlook.title": "5.2 硬件加速展望",
        "outlook.prediction": "以下为预测，并非实测",
        "outlook.label": "下表只由数据量推算：每生成一个 token 需要把全部权重读取一遍，"
        "因此带宽除以字节数就是速度上限。KV 缓存、激活数据以及传输效率都会使实际值更低。",
        "outlook.formula": "设 B 为内存带宽（byte/s），bits 为三值权重的位宽，"
        "e 为 lm_head 每个权重的字节数：{formula}。",
        "outlook.form": "权重形式",
        "outlook.form.value": "{bits} bit，lm_head 为 {head}",
        "outlook.ternary": "三值权重",
        "outlook.head": "lm_head",
        "outlook.token": "每个 token 的字节数",
        "outlook.bandwidth": "{value} GB/s 下的 tok/s",
        "outlook.measured": "{value} GB/s（本机 DRAM）下的 tok/s",
        "outlook.note": "针对实际运行的 {layers} 层。",
        "outlook.amdahl": "三值权重以两位存储时，bf16 的 lm_head 占每个 token 字节数的 {share}。"
        "无论 BitLinear 算子加速到多快，受访存限制的 decode 都省不掉这一部分："
        "与满带宽读取两位权重相比，只加速 BitLinear 最多提速 {limit} 倍。",
        # 附录
        "appendix.title": "附录",
        "definitions.title": "A. OPs 与字节数的定义",
        "definitions.intro": "所有表格、文件和图都采用同一套定义。"
        "一次乘加计两个 OPs（MACs 为其一半），对单个元素的其他算术运算计一个，复制不计。"
        "字节数为模型值，即各趟访存至少要搬运的数据量。",
        "definitions.kind": "算子",
        "definitions.ops": "OPs",
        "definitions.bytes": "字节数",
        "definitions.symbols": "T 为 token 数，C 为更新后的 K 数，N × K 为输出 × 输入维度，"
        "H 为隐藏维度，F 为 MLP 中间维度，D 为头维度，V 为词表大小，q 和 k 为 Q、K 的元素数，"
        "e 为每个激活的字节数，w 为每个权重的字节数。",
        "method.title": "B. 测量方法",
        "method.median": "中位数按前向统计，算子在一次前向中的耗时为其全部调用之和。"
        "置信区间由固定种子的自助法（bootstrap）得到。",
        "method.tiling": "各条记录与记录器自身的时间逐纳秒铺满每次前向。"
        "相邻算子之间的间隙也是一条记录；出现重叠或负间隙时，运行直接判为失败。",
        "method.probes": "内存、缺页和编译计数在计时区间之外读取，统计对象为整个进程，"
        "因此包含工作线程。",
        "method.memory": "RSS 变化带符号。单位采用十进制；"
        "只有 CSV 和 JSON 中标有 (MB) 的列沿用原有惯例，以 MiB 计。",
        "method.roofs": "上限在本次运行中实测。速度若超出上限且超过测量裕量，则不予显示。",
        "method.checks": "在计时之外，用 NumPy 参考实现重新计算了 {operators} 个算子的 {n} 个输出"
        "（层：{layers}），输入均为各算子自身记录到的输入：{passed} 个一致；"
        "误差最大的是 {name}：{error}（容差 {allowed}）；"
        "{ties} 个编码在舍入中点处不同，两者皆正确。",
        "method.unchecked": "没有任何输出与参考实现核对过：本次运行在此之前就结束了。",
        "method.overhead": "记录器开销：按其自身计时占一次热态 prefill 的 {own}，"
        "共 {events} 个事件。"
        "另有一项把 hook 调用本身也算在内的交叉检验：{pairs} 次不带记录器的 prefill 与同样次数的"
        "带记录器 prefill 交替进行，二者相差 {share}（成对比较的 95% 置信区间：{low} 至 {high}）。",
        "files.title": "C. 文件清单",
        "files.item": "[{file}]({file})：{text}",
        "file.profile.json": "全部测量数据；`trine report` 可由它重新生成所有文件",
        "file.records.csv": "每次前向的每条记录，平铺为表格",
        "file.raw_layer_data.csv": "每个模块一行：第 0 层与层外部分取冷态 prefill，"
        "其余各层取热态中位数，由 State 列标明",
        "file.final_operator_benchmark.csv": "单层各算子热态下的单次调用数据；"
        "各比例以该表之和为基数，Share of Wall 以整次 prefill 为基数",
        "file.linear_operator_stats.csv": "其中的线性算子，比例基数相同",
        "file.nonlinear_operator_stats.csv": "其中的非线性算子，比例基数相同",
        "file.inference_profile_report.json": "汇总数据与各表格，合为一个文档",
        "file.trace.json": "整个运行的时间线，可用 Perfetto 打开",
        "file.report.html": "本报告的单页版本",
        # 终端
        "console.warning": "{title}：{text}",
        "console.top": "其余 {n} 个算子",
        "console.findings": "结论",
        "console.effect": "（{text}）",
        "console.fix": "\n  对策：{text}",
        "console.files": "报告：{folder}",
    }
)

# Words of the cost formulas (`profiling.costs.DEFINITIONS`), longest first.
TERMS: Mapping[str, str] = MappingProxyType(
    {
        "per head and visible pair": "每个头、每个可见的 Q-K 对",
        "per element of q and k": "每个 Q、K 元素",
        "per element of cos": "每个 cos 元素",
        " (mean, quantise)": "（求均值、量化各一遍）",
        " (max, square)": "（取最大值、平方）",
        "per logit (argmax)": "每个 logit（argmax）",
        "not modelled (0)": "不建模 (0)",
        "per KV head": "每个 KV 头",
        "per element": "每个元素",
        "activations": "激活",
        "temporaries": "临时张量",
        " (a copy)": "（复制）",
        "weights": "权重",
        "pairs": "对的个数",
    }
)
