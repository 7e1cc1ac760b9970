using System.Text.Json.Serialization;
using Isthmus.WebConsole.Picture;

namespace Isthmus.WebConsole;

/// <summary>What the page reads, without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals)]
[JsonSerializable(typeof(Topology))]
[JsonSerializable(typeof(TrafficPicture))]
[JsonSerializable(typeof(ProblemReport))]
[JsonSerializable(typeof(string))]
internal sealed partial class PageJson : JsonSerializerContext;
