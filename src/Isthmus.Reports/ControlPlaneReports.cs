using System.Text.Json.Serialization;

namespace Isthmus.Reports;

/// <summary>
/// The pages of control planes that programs of Isthmus read. Writer and reader use the same records. Some pages are istiod's, too: what an istiod lacks is
/// null, and what it has more is left out.
/// </summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    RespectNullableAnnotations = true,
    AllowDuplicateProperties = false)]
[JsonSerializable(typeof(HistoryReport))]
[JsonSerializable(typeof(PreviewQuestion))]
[JsonSerializable(typeof(PreviewReport))]
[JsonSerializable(typeof(SourcesReport))]
[JsonSerializable(typeof(DistributionReport))]
[JsonSerializable(typeof(LogScope))]
[JsonSerializable(typeof(IReadOnlyList<LogScope>), TypeInfoPropertyName = "LogScopes")]
[JsonSerializable(typeof(IReadOnlyList<ProblemReport>), TypeInfoPropertyName = "Problems")]
[JsonSerializable(typeof(IReadOnlyList<WatchedReport>), TypeInfoPropertyName = "Watched")]
[JsonSerializable(typeof(IReadOnlyList<SyncReport>), TypeInfoPropertyName = "Sync")]
[JsonSerializable(typeof(Dictionary<string, Dictionary<string, IReadOnlyList<ShardEndpoint>>>), TypeInfoPropertyName = "Shards")]
[JsonSerializable(typeof(Dictionary<string, IReadOnlyList<ShardEndpoint>>), TypeInfoPropertyName = "ShardsOfHost")]
public sealed partial class ControlPlaneReports : JsonSerializerContext;
