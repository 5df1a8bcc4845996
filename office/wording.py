"""The words staff and units read for the states and reasons that the code knows."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from rules.deadlines import StatedDeadline, stated
from rules.obligations import Obligation, first_received

ZONE = {"Asia/Shanghai": "北京时间", "Asia/Urumqi": "新疆时间", "Asia/Hong_Kong": "香港时间"}
WEEKDAYS = "一二三四五六日"

STANDING = {
    "missing": "未报",
    "returned": "退回待补正",
    "queried": "已报待核实",
    "submitted": "已报待审核",
    "accepted": "已报",
    "exempt": "免报",
    "left": "已退出",
}
# The same as one word of the board in the run UI.
SHADE = {
    "reported": "已报",
    "late": "迟报",
    "waiting": "待核",
    "returned": "退回",
    "overdue": "逾期",
    "open": "未报",
    "outside": "免报",
}
SHADE_WAITING = {"submitted": "待审核", "queried": "待核实"}
SHADE_LATE = "（迟）"
SHADE_LEFT = "未报（已退出）"
SHADE_OVERDUE = "逾期{days}天"
SHADE_PROMISED = "（承诺{day}）"
SHADE_DONE = "{done}/{all}"
SEVERITY = {"must": "强制", "query": "核实", "info": "提示"}
CHANNEL = {"mail": "邮件", "portal": "网页", "phone": "电话", "paper": "纸质", "person": "当面"}
NOTICE = {
    "launch": "启动通知",
    "reminder": "提醒",
    "reminder_responsible": "提醒（单位负责人）",
    "receipt": "回执",
    "returned": "退回/核实",
    "acknowledged": "来信已收到",
    "escalation": "催办（单位负责人）",
    "escalation_digest": "催办清单（主管单位/领导）",
    "escalation_bulletin": "催报通报（全体单位）",
    "summary": "汇总报告",
    "alert": "值守提示",
    "closing": "办结通知",
    "granted": "申请已同意",
    "refused": "申请未同意",
    "contact_changed": "联系人变更",
    "answer": "答复来信",
    "supervision_order": "督办单",
    "circulation": "通报",
    "digest": "待办提示",
    "decided": "处理决定",
    "correction": "通知更正",
    "announcement": "情况通知",
}
# Why somebody gets a mail, at its foot.
WHY = {
    "launch": "您收到本邮件，是因为贵单位在本次活动的报送单位名单中。",
    "reminder": "您收到本邮件，是因为贵单位还有材料没有报送。",
    "reminder_responsible": "您收到本邮件，是因为您登记为单位负责人，而贵单位还有材料没有报送。",
    "receipt": "您收到本邮件，是因为我们收到了以贵单位名义报送的材料；如非贵单位报送，请立即告知。",
    "returned": "您收到本邮件，是因为我们收到了以贵单位名义报送的材料；如非贵单位报送，请立即告知。",
    "granted": "您收到本邮件，是因为贵单位向办公室提出了申请。",
    "refused": "您收到本邮件，是因为贵单位向办公室提出了申请。",
    "contact_changed": "您收到本邮件，是因为您是该单位变更前或变更后的联系人；如非贵单位办理，请立即告知。",
    "answer": "您收到本邮件，是因为您曾来信。",
    "decided": "您收到本邮件，是因为办公室对贵单位的报送事项作出了处理。",
    "correction": "您收到本邮件，是因为贵单位在本次活动的报送单位名单中。",
    "announcement": "您收到本邮件，是因为贵单位在本次活动的报送单位名单中。",
    "acknowledged": "您收到本邮件，是因为我们收到了以贵单位名义发来的邮件；如非贵单位发来，请立即告知。",
    "escalation": "您收到本邮件，是因为贵单位逾期未报，且您登记为单位负责人或联系人。",
    "escalation_digest": "您收到本邮件，是因为名单中的单位由贵单位主管或归口联系。",
    "escalation_bulletin": "您收到本邮件，是因为贵单位参加本次活动。",
    "alert": "您收到本邮件，是因为您登记为本系统的值守人员。",
    "supervision_order": "您收到本邮件，是因为办公室已批准向贵单位发出督办单。",
    "circulation": "您收到本邮件，是因为贵单位在本次活动的单位名单中。",
    "digest": "您收到本邮件，是因为您登记为办公室的审核或审批人员。",
    "summary": "您收到本邮件，是因为贵办公室牵头本次活动。",
    "closing": "您收到本邮件，是因为贵单位在本次活动的报送单位名单中。",
}
# A rung as staff call it.
RUNG = {
    "launch": "下发通知",
    "before": "截止前{n}天提醒",
    "before_working": "截止前{n}个工作日提醒",
    "on": "截止日提醒",
    "after": "逾期第{n}个工作日提醒",
    "escalate": "第{n}级催办",
}
TO_RESPONSIBLE = "（负责人）"
AUDIENCE = {"department": "行业主管部门", "campaign": "全体单位"}
STEP = {
    "launch": "下发通知",
    "collect": "收件",
    "remind": "提醒",
    "escalate": "催办",
    "consolidate": "汇总",
    "deliver": "发信",
}
# The tasks of a run, as its picture names them.
TASK = {
    "act": "办理并记入台账",
    "freeze": "登记应报事项",
    "plan": "拟定应发邮件",
    "deliver": "发出一批邮件",
    "lanes": "按通道限额续发",
    "repair": "改写下一联系人",
    "fetch": "收取来信",
    "take_in": "登记来件",
    "hear": "先登记已到的来件",
    "consolidate": "编制汇总材料",
}
NOT_HEARD = "本次未能先收取、登记已到的来信，其中的报送由下一次收件登记：{why}"
TOOK_OVER = "另有 {count} 次同类运行在排队等候，由本次一并办理，不再逐一运行。"
BY_RATE = "按通道限额续发，已发出 {count} 封"
MOVED = "（改期）"  # of a deadline that a decision moved
JOINED = "新增单位"
LEFT_BY_THE_DEAD = "运行进程已经中断（机器关机或进程被结束），由对账流程标记为异常；应办的事项会自动补办。"
MADE_UP = "补办 · {title}"
WOKEN = {"deliver": "发信 · 有邮件等待发送", "collect": "收件 · 有来信等待处理"}
RECONCILIATION = "对账：发现与处理"
MORE = "……另有 {count} 项"
RECONCILED = {
    "crashed": "进程已中断、标记为异常的运行",
    "freed": "被中断的运行占用、已释放的并发名额",
    "removed": "已取消的计划运行（时间变更，或不再需要）",
    "made": "新建或补建的计划运行",
    "overdue": "到期未办、现予补办的节点",
    "woken": "有邮件等待、现予处理",
    "trouble": "核对时出错、下次再试",
}
SKIP = {
    "reported": "已经报送，不再提醒",
    "exempt": "免报",
    "left": "已退出活动",
    "voluntary": "自愿报送，不催",
    "not_yet": "未到时间",
    "said": "该说的已经说过",
    "expired": "截止时间已过，事前提醒作废",
    "before_joining": "加入之前的提醒不补发",
    "just_returned": "刚退回更正，暂不催报",
    "mailed_today": "今日已有邮件，并入明日",
    "ladder_done": "各级均已催办",
    "nobody_above": "没有登记主管单位（部门），改由上一级督促",
    "promised": "已承诺报送日期，到期前不再向上催办",
    "extension_asked": "截止前已申请延期，尚未答复，暂不告知上级",
    "to_approve": "等待审批后发出",
    "declined": "审批未同意，暂不发出",
    "campaign_paused": "活动已暂停",
    "campaign_closed": "活动已结束",
}
UNSENT = {
    "fenced": "尚未放行（go-live），且不在白名单",
    "outside_window": "不在发送时段",
    "cap_reached": "该地址今日已达上限",
    "no_contact": "没有可用的联系地址",
    "nothing_left": "所列事项均已报送，邮件作废",
    "expired": "已过时效，邮件作废",
    "not_composed": "收件人姓名或地址有误，无法成信",
    "paused": "活动已结束，不再催办",
    "campaign_paused": "活动已暂停，恢复后再发",
    "held": "已暂停发信（总开关或通道）",
    "relay_down": "连不上发信服务器，稍后重试",
    "lane_closed": "对方邮件服务商要求暂缓",
    "lane_full": "该服务商的发送额度暂已用完，稍后续发",
    "given_up": "对方多日拒不接收，不再重试",
}
OUTCOME = {
    "sent": "已发出",
    "deferred": "暂未发出，稍后再发",
    "refused": "对方拒收",
    "ambiguous": "是否送达不明，待人工确认",
    "held": "对方因策略拒收，通道已暂停",
}
MAIL_KIND = {
    "hand_in": "报送",
    "duplicate": "重复报送",
    "bounce": "退信",
    "auto_reply": "自动回复",
    "unmatched": "无法对应单位",
    "unreadable": "附件无法登记",
    "question": "来信（无附件）",
}

# Why a mail that came in waits for a person, where no file of it is to blame.
WHY_QUEUED = {
    "hand_in": "已登记，但邮件中有部分内容未能读取",
    "bounce": "退信，无法确定是哪一封邮件被退回",
    "auto_reply": "自动回复，带有附件",
    "unmatched": "没有编号，发件人也未登记，无法对应单位",
    "unreadable": "系统未能读取这封邮件，请人工查看",
    "question": "没有附件的来信，请阅后答复",
}

# A stop put on sending, by its scope.
STOP = {
    "all": "全部邮件",
    "campaign": "活动“{name}”",
    "lane": "通道“{name}”",
}
STOPPED = "{scope}：{grounds}"
TROUBLE = {
    "unreached": "没有可用的邮箱，请电话联系",
    "replaced": "登记的邮箱不可用，已改写下一联系人",
    "full": "邮件多次被退回（如邮箱已满）",
}
ALERT = {
    "contacts": "有 {count} 个单位的联系方式需要核实",
    "lane": "发往“{lane}”通道的邮件已暂停",
    "approvals": "有 {count} 份催办清单等待审批",
    "requests": "有 {count} 份延期申请等待处理",
    "run": "“{step}”没有正常完成",
}
ALERT_REMEDY = {
    "requests": "以上申请是在今天的待办邮件发出之后提出的。用 muster grant 编号 同意，或用 muster refuse 编号 不同意，"
    "均须写明理由；也可在网页的待办中处理。处理结果会发给申请单位；处理之前，原定时间仍然有效。",
    "run": "到期未办的事项会由对账流程自动补办，一般无需操作；重复运行不会重复发信。"
    "如果反复出现，请在运行界面打开该次运行查看日志，并检查邮件服务器、收件邮箱和磁盘。",
    "approvals": "用 muster approvals 查看名单，用 muster approve 同意发出，或用 muster decline 暂不发出。"
    "未经同意一律不发，以后各级也随之顺延；同意时已经报送的单位自动从名单中去掉。",
    "contacts": "请电话联系这些单位，核对邮箱；没有可用邮箱的单位收不到通知和提醒，可请其电话报送，"
    "由办公室用 muster hand-in 代为录入。"
    "联系人有变化的，用 muster contact 更正，新旧联系人都会收到通知；通话情况用 muster call 登记。",
    "lane": "对方服务器以策略为由拒收，地址本身无误。请先查明原因（发信信誉、内容、SPF/DKIM 等），"
    '解决后执行 muster release --lane {lane} --grounds "原因"，暂停的邮件会继续发出。',
}
MORE_CONTACTS = "另有 {count} 个单位，见联系人清单。"
MORE_REQUESTS = "另有 {count} 份申请，用 muster requests 查看。"
MORE_RUNS = "另有 {count} 次，见运行界面。"
ASKED_LINE = "第 {number} 号，{unit}：{wish}，理由：{reason}"
FLOW = {"reconcile": "对账", "tell_approvers": "提醒审批人", "alarm": "告警"}
RUN_STATE = {"Failed": "运行失败", "Crashed": "进程中断", "TimedOut": "运行超时", "Late": "未按时开始"}
BROKEN_RUN = "{moment} {name}：{state}"
BROKEN_RUN_SAID = "（系统信息：{said}）"
# What happened, as the names of automations say it, and what follows; the run UI lists them.
AUTOMATION = {
    "planned": (
        "邮件待发 → 发信",
        "有邮件写入发件箱（回执、答复、决定等）时，立即运行“发信”。步骤自己产生的邮件由该步骤自己发送。",
    ),
    "opened": ("放行 → 发信", "活动放行或恢复发信时，立即运行“发信”，发出等待中的邮件。"),
    "mail": ("收到来信 → 收件", "收件邮箱收到新邮件时，立即运行“收件”：核对、登记并答复。"),
    "received": ("网上报送 → 收件", "单位通过网页或电话报送后，运行“收件”：更新进度，看是否已全部报齐，提醒待办。"),
    "bounced": ("退信 → 改发其他联系人", "邮件被退回时，运行“发信”：改发给该单位其他可用的联系人。"),
    "extension": ("申请延期 → 提醒审批人", "单位申请延期、而今天的待办邮件已经发出时，另发一封邮件提醒审批人。"),
    "complete": (
        "全部报齐 → 提前汇总",
        "应报材料全部报齐时，立即运行“汇总”，作为最终汇总并办结。只用于活动中写明提前汇总的。",
    ),
    "broken": (
        "运行失败 → 告警",
        "步骤运行失败、超时或进程中断时，向值守人员发送告警邮件（每项每天一封）；设有告警回调的，同时回调。",
    ),
    "late": ("未按时开始 → 告警", "步骤到点五分钟后仍未开始时，向值守人员发送告警邮件；设有告警回调的，同时回调。"),
}
CONSENT = "{rung}：{units}家单位{items}项材料（{occasion}）"
# What waits for staff, by what it is and how long it has waited.
WAITS = {
    "version": "待审核",
    "query": "待核实",
    "request": "申请",
    "letter": "来信未处理",
    "paper": "待批准",
    "doubt": "发信存疑",
    "contact": "联系方式",
    "approval": "催办待批",
}
AGE = {
    "fresh": "已等{days}个工作日",
    "aged": "◆已等{days}个工作日",
    "old": "◆◆已等{days}个工作日（超过3个）",
}
TODAY = "今日"
AGED = {"fresh": "{days}个工作日", "aged": "◆{days}个工作日", "old": "◆◆{days}个工作日"}
ANSWERED = "对方邮件服务器的答复：“{said}”"
# Why a mail did not leave, by how the record of it begins; what is not known is quoted.
ONE_MAILBOX = "（与联络员同一邮箱，合为一封）"
ORDER_GIVEN = "{number}（{colour}色）"
ENDED = {
    "said in another mail to the same mailbox": "与联络员的提醒同一邮箱，合为一封",
    "the due instant was moved": "截止时间已变更",
    "a decision has overtaken it": "已有新的处理决定",
    "the judgement was taken back": "审核结论已撤回",
    "what it speaks of was promised for a later day": "对方已承诺报送日期",
    **{key: UNSENT[key] for key in ("nothing_left", "paused", "expired", "no_contact")},
}
FATE = {
    "planned": "待发",
    "claimed": "正在发出",
    "deferred": "暂未发出，稍后再发",
    "superseded": "没有发出：所列事项已无须再提",
    "expired": "没有发出：已过时效",
    "held": "没有发出：发信已暂停",
    "refused": "没有送到：对方拒收或没有可用地址",
}
# The state of a mail in a word or two.
LETTER = {
    "planned": "待发",
    "claimed": "正在发出",
    "sent": "已发出",
    "deferred": "暂未发出，稍后再发",
    "refused": "对方拒收",
    "bounced": "被退回",
    "ambiguous": "是否送达不明",
    "superseded": "无须再发",
    "expired": "已过时效",
    "held": "暂停在通道",
}
# The state of a paper.
PAPER_STATE = {"draft": "待批准", "approved": "已批准", "dropped": "已作废"}
# The state of a version handed in.
VERSION = {"accepted": "已接收", "submitted": "待审核", "queried": "待核实", "returned": "已退回"}
# Why an address fails, by how the record of it begins. What a mail server said is quoted, our own words are not.
CAUSE = {
    "refused": "对方邮件服务器拒收，答复：“{said}”",
    "hard": "邮件被退回，退信说明：“{said}”",
    "soft": "邮件被退回，退信说明：“{said}”",
    "cannot be written to": "地址或联系人姓名中有邮件不能使用的字符",
    "no e-mail address": "不是有效的邮箱地址",
}
NO_ADDRESS = "没有登记邮箱"
SOFT = "已被退回 {count} 次，最近一次：{cause}"

# What a unit or staff cannot have done, said to the unit.
NOT_POSSIBLE = {
    "answered": "这一处已经核实过了，不用再填。",
    "foreign": "这不是本单位的材料，不能代为处理。如链接有误，请与办公室联系。",
    "not_latest": "这一版之后又报过新的版本，请在最新版本上核实。",
    "not_queried": "这份材料目前没有待核实的内容。",
    "not_a_query": "这一处是必须改正的问题，请改好后重新报送。",
    "nothing_said": "请填写准确数字，或者说明情况。",
    "bad_number": "这个数不符合填报要求：{problem}{remedy}",
    "bad_due": "新的截止日期应晚于现在，且不晚于活动截止日期{closes}。",
    "not_later": "申请的日期应晚于现在的截止时间（{due}）。",
    "no_reason": "请写明理由。",
    "not_owed": "这项材料不需要再报，不必申请延期。",
    "asked_already": "同一事项已有一份申请等待办公室处理，请不要重复提交。",
    "bad_address": "邮箱“{address}”写得不对，请核对后重填。",
    "bad_phone": "电话“{phone}”写得不对，请填写号码，如 022-12345678、13800138000，有分机的写 022-12345678转8001。",
    "bad_role": "请选择联系人类别。",
    "same_contact": "联系人没有变化，不必申请。",
    "closed": "活动已经结束，不再受理申请。如有需要，请与办公室联系。",
    "decided": "这份申请已经处理过了。",
    "judged": "这份材料的状态已经变化，请刷新后再看。",
    "not_nil": "这项材料现在不能零报告：可能已经报过，或者不接受零报告。",
    "no_original": "这项材料不需要报送纸质件。",
    "nobody_meant": "没有需要变更的单位或材料。",
    "standing": "目前的情况不允许这样处理，请与办公室联系。",
    "nothing_owed": "所列材料都已报送，不用再填。",
    "bad_promise": "承诺的日期应在今天至活动截止日期{closes}之间。",
    "promised_twice": "承诺的日期已经改过一次，不能再改。请尽快报送，或与办公室联系。",
}
NOTE = {
    "draft": "网页上有草稿，尚未报送",
    "draft_again": "网页上有更正稿，尚未报送",
    "refused": "延期申请未获同意，仍以原时间为准",
}
# What staff read of a decision, by its kind.
DECISION = {
    "extended": "延期",
    "exempted": "免报",
    "unit_joined": "单位加入",
    "unit_left": "单位退出",
    "unit_back": "单位恢复参加",
    "superior_changed": "变更主管单位",
    "campaign_paused": "暂停活动",
    "campaign_resumed": "恢复活动",
    "campaign_closed": "结束活动",
    "campaign_reopened": "重新开放活动",
    "corrected": "更正通知",
    "announced": "情况通知",
    "amended": "修订活动定义",
    "undone": "收回决定",
    "accepted": "接收",
    "submitted": "转审核",
    "returned": "退回",
    "reopened": "重新审核",
    "request_refused": "申请未同意",
    "contact_changed": "变更联系人",
    "contact_kept": "联系人无须变更",
    "original_received": "收到纸质件",
    "links_revoked": "链接作废",
    "go_live": "放行",
    "answered": "答复来信",
    "supervised": "批准督办单",
    "circulated": "批准通报",
    "mail_assigned": "来信归入单位",
    "mail_answered": "答复来信",
    "mail_dismissed": "来信不再处理",
}
# What a unit is told of a decision, by its kind: the headline, and the sentence before what it is about.
DECIDED = {
    "extended": (
        "截止时间已延长",
        "经研究，贵单位下列材料的截止时间延长，请按新的时间报送，此后的提醒也按新的时间发送：",
    ),
    "undone:extended": ("延期已收回", "此前给予的延期已收回，请按下列时间报送："),
    "exempted": ("免予报送", "经研究，贵单位免予报送下列材料，不再提醒，也不计入报送率。此前已经报送的照常留存："),
    "undone:exempted": ("恢复报送", "此前的免报已收回，请按下列时间报送："),
    "unit_left": (
        "已退出本次活动",
        "贵单位已退出本次活动。尚未到期的材料不必再报，今后不再发送提醒。如非贵单位办理，请立即告知。",
    ),
    "undone:unit_left": ("继续参加本次活动", "此前关于贵单位退出本次活动的处理已收回，请仍按原定时间报送。"),
    "unit_back": ("恢复参加本次活动", "贵单位恢复参加本次活动，请按下列时间报送："),
    "undone:unit_back": (
        "未恢复参加本次活动",
        "此前关于贵单位恢复参加本次活动的处理已收回，不必再报送，今后不再发送提醒。",
    ),
    "undone:corrected": ("", "此前发出的更正作废，请仍按原通知执行。"),
}
REACHED = "{at}（{way}）"
# Of a finding that nobody answered, in a version that asks for nothing any more.
SETTLED = {"accepted": "办公室审核后已接收，不必再处理。", "submitted": "等待办公室审核，暂不必处理。"}
# Of a file that was not taken, where an earlier one goes on counting.
INSTEAD = "第{number}次报送的文件没有采用，也没有改变已登记的内容；目前仍以第{earlier}次报送为准（{state}）。"
INSTEAD_QUERIED = "其中标“核实”的问题仍请答复，也可以更正后重新报送。"
ASKED = {
    "extension": "申请延期至{day}",
    "contact": "申请将{role}变更为{name}（{address}）",
}
ROLE = {"liaison": "联络员", "duty": "值班", "responsible": "负责人"}
ELECTRONIC = {True: "电子版已收", False: "电子版未收"}
ORIGINAL = {"outstanding": "纸质原件未收", "received": "纸质原件已收（{day}）"}
SCAN = {True: "盖章扫描件：已收", False: "盖章扫描件：未收"}
SCAN_WELCOME = "另请报送盖章扫描件（PDF）"
SCAN_MISSING = "盖章扫描件：未收。如已盖章，请把扫描件（PDF）随后报来，不影响本次登记。"

NIL = "零报告"
AFTER_CLOSE = "（活动结束后报送）"
PROGRESS = "本次发信进度"
UNNAMED = "（未命名附件）"
SHEET_OF = "{name} 的工作表“{sheet}”"
# Why a file could not be recorded, and what the unit is to do.
PROBLEM = {
    "kind": "这种文件无法登记。表格请用通知所附的 Excel 文件（.xlsx）填写，文字材料请用 Word（.docx）或 PDF 文件报送。",
    "unreadable": "这个 Excel 文件打不开或已损坏。请重新下载通知所附的空表填写后再报。",
    "too_large": "这个文件太大或内容太多，无法读取。请只保留通知所附空表中的内容（删除多余的行、列、图片）后重新报送。",
    "unsafe": "这个文件的结构不正常，出于安全考虑没有打开。请重新下载通知所附的空表填写后再报。",
    "another_campaign": "这份表格是另一项活动的，不属于“{campaign}”。请使用本次通知所附的空表填报。",
    "picture_of_form": "《{title}》需要报送可以汇总的 Excel 文件（.xlsx），照片、扫描件或文字稿无法计入汇总。"
    "请用通知所附的空表填写后重新报送。",
    "another_unit": "这份表格是发给其他单位的，请使用本单位收到的空表填报。",
    "no_form": "没有认出这是本次活动的哪一张表。请使用通知所附的空表填写，不要改动表头。",
    "not_owed": "本单位不需要报送这项材料。",
    "same_as_before": "与此前一期所报完全相同，没有登记为新一期的报送。"
    "如本期情况确与上期一致，请直接回复本期的提醒邮件，附上文件重报；如是重复发送，不必理会。",
    "which_document": "没有认出这是哪一项材料，请说明是下列哪一项：{names}。"
    "回复本邮件，在主题最前面写上材料名称即可，附件不必再发；也可在文件名中写明材料名称后重新发送。",
    "which_nil": "收到零报告，但没有写明是哪一项材料，尚未登记。下列各项都可以零报告：{names}。"
    "请回复本邮件，在主题最前面写上材料名称和“零报告”。",
    "nil_not_allowed": "{names}不接受零报告，请按要求报送材料。确有特殊情况，请与联系人联系。",
    "nil_not_open": "{names}目前没有待报事项，零报告未登记。",
    "nil_nothing_open": "目前没有可以零报告的待报事项，零报告未登记。如需报送材料，请把材料作为附件发回。",
    "mail_too_large": "来件过大，没有收下附件。请压缩图片或分几封邮件发送，也可与联系人商定其他报送方式。",
    "winmail": "附件被对方的 Outlook 打包成 winmail.dat，无法读取。请把邮件格式改为“HTML”或“纯文本”后重新发送附件。",
}

# By what the file turned out to be; all other kinds: PROBLEM["kind"].
SAVE_AS = "请用 WPS 或 Excel 打开后“另存为”.xlsx 格式，再重新报送。"
KIND_PROBLEM = {
    "macros": "这个文件带有宏，出于安全考虑没有打开。请把文件另存为不带宏的 .xlsx（文字材料另存为 .docx）后重新报送。",
    "encrypted": "这个文件设有密码，无法读取。请取消密码后重新报送。",
    "xls": f"这是旧格式的表格（.xls 或 .et），无法自动读取。{SAVE_AS}",
    "xlsb": f"这是二进制格式的表格（.xlsb），无法自动读取。{SAVE_AS}",
    "odf": f"这是 OpenDocument 格式的文件，无法自动读取。{SAVE_AS}",
    "doc": "这是旧格式的文档（.doc 或 .wps）。请另存为 .docx 或 PDF 后重新报送。",
    "rar": "没有打开 .rar 压缩包。请把文件直接作为附件报送，或改用 .zip 压缩包。",
    "7z": "没有打开 .7z 压缩包。请把文件直接作为附件报送，或改用 .zip 压缩包。",
    "zip": "这个压缩包打不开，或者里面文件太多、又套着压缩包。请把文件直接作为附件报送。",
    "bomb": "这个文件解压后大得不正常，出于安全考虑没有打开。请重新下载通知所附的空表填写后再报。",
    "html": "这个文件其实是网页，不是表格或文档。请用通知所附的 Excel 空表（.xlsx）填写后报送。",
    "svg": "不接收 SVG 图片。图片请用 JPG 或 PNG 格式报送。",
    "xml": "这个文件其实是 XML 文本，不是 Excel 工作簿。" + SAVE_AS,
    "text": "这是纯文本文件。表格请用通知所附的 Excel 空表（.xlsx），文字材料请用 Word（.docx）或 PDF 文件报送。",
    "empty": "这个文件是空的（0 字节），可能没有上传完整。请重新报送。",
}
# Why a workbook could not be read, by the cause that the reading process gives.
UNREADABLE = {"entities": "unsafe", "too_large": "too_large", "too_slow": "too_large", "died": "too_large"}


def step_text(flow: str) -> str:
    """Return what a flow is called."""
    return STEP.get(flow) or FLOW.get(flow, flow)


def moment_text(moment: datetime, zone: ZoneInfo) -> str:
    """Return an instant in local time: 5月31日 16:20."""
    local = moment.astimezone(zone)
    return f"{local.month}月{local.day}日 {local:%H:%M}"


def short_day_text(moment: datetime, zone: ZoneInfo) -> str:
    """Return the local day of an instant: 6月3日."""
    local = moment.astimezone(zone)
    return f"{local.month}月{local.day}日"


def date_text(moment: datetime, zone: ZoneInfo) -> str:
    """Return the local day of an instant as official papers date it: 2020年6月3日."""
    local = moment.astimezone(zone)
    return f"{local.year}年{local.month}月{local.day}日"


def zone_text(zone: ZoneInfo) -> str:
    """Return a zone as people call it."""
    return ZONE.get(zone.key, zone.key)


def day_text(day: date) -> str:
    """Return a day as people say it: 6月12日（星期五）."""
    return f"{day.month}月{day.day}日（星期{WEEKDAYS[day.weekday()]}）"


def due_text(due: datetime | None, zone: ZoneInfo) -> str:
    """Return a due instant as a circular says it: 5月31日（星期日）24时前, 6月5日（星期五）16:00前."""
    if due is None:
        return "随时报送"
    return stated_text(stated(due, zone))


def stated_text(deadline: StatedDeadline) -> str:
    """Return a stated deadline the same way."""
    weekday = WEEKDAYS[deadline.day.weekday()]
    clock = "24时" if deadline.at is None else f"{deadline.at:%H:%M}"
    return f"{deadline.day.month}月{deadline.day.day}日（星期{weekday}）{clock}前"


def overdue_text(due: datetime | None, as_of: datetime, zone: ZoneInfo) -> str:
    """Return how late an open item is: 已逾期2天; empty if it is not."""
    if due is None or as_of < due:
        return ""
    days = (as_of.astimezone(zone).date() - stated(due, zone).day).days
    return f"已逾期{days}天" if days else "已逾期"


def timely_text(obligation: Obligation, received_at: datetime) -> str:
    """Return whether a version came in time, by the instant and the version by which the rates judge it."""
    if obligation.judged_by is None:
        return ""
    if received_at < obligation.judged_by:
        return "按时"
    if obligation.versions and first_received(obligation.versions) < obligation.judged_by:
        return "按时（以首次报送计）"
    return "已过截止时间，按迟报登记"


def cause_text(reason: str) -> str:
    """Return why an address fails, for staff, from the record of it; what is not known there is quoted."""
    kind, _, said = reason.partition(": ")
    return CAUSE[kind].format(said=said.strip()) if kind in CAUSE else f"“{reason}”"


def rate_text(rate: float | None) -> str:
    """Return a rate as staff print it: 96.5%; a dash where nothing is owed."""
    return "—" if rate is None else f"{rate * 100:.1f}%"
