using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Isthmus.Style;

/// <summary>What <c>.editorconfig</c> and the files like it, which the SDK adds, say for each source.</summary>
internal sealed class EditorConfig : AnalyzerConfigOptionsProvider
{
    private readonly AnalyzerConfigSet _files;
    private readonly ConcurrentDictionary<string, AnalyzerConfigOptionsResult> _sources = [];

    internal EditorConfig(IEnumerable<string> paths)
    {
        _files = AnalyzerConfigSet.Create(paths.Select(path => AnalyzerConfig.Parse(File.ReadAllText(path), path)).ToList());
        GlobalOptions = new Options(_files.GlobalConfigOptions.AnalyzerOptions);
        Severities = new SeverityOptions(this);
    }

    public override AnalyzerConfigOptions GlobalOptions { get; }

    /// <summary>The severities of diagnostics.</summary>
    internal SyntaxTreeOptionsProvider Severities { get; }

    public override AnalyzerConfigOptions GetOptions(SyntaxTree tree) => new Options(Of(tree.FilePath).AnalyzerOptions);

    public override AnalyzerConfigOptions GetOptions(AdditionalText textFile) => new Options(Of(textFile.Path).AnalyzerOptions);

    /// <summary>Whether a diagnostic is a warning or an error in one of these sources.</summary>
    internal bool Warns(string diagnostic, IEnumerable<SyntaxTree> trees) =>
        trees.Select(tree => Of(tree.FilePath).TreeOptions).Append(_files.GlobalConfigOptions.TreeOptions)
            .Any(severities => severities.GetValueOrDefault(diagnostic) is ReportDiagnostic.Warn or ReportDiagnostic.Error);

    private AnalyzerConfigOptionsResult Of(string path) => _sources.GetOrAdd(path, _files.GetOptionsForSourcePath);

    private sealed class Options(IReadOnlyDictionary<string, string> values) : AnalyzerConfigOptions
    {
        public override IEnumerable<string> Keys => values.Keys;

        public override bool TryGetValue(string key, [NotNullWhen(true)] out string? value) => values.TryGetValue(key, out value);
    }

    private sealed class SeverityOptions(EditorConfig config) : SyntaxTreeOptionsProvider
    {
        public override GeneratedKind IsGenerated(SyntaxTree tree, CancellationToken cancellationToken) =>
            !config.Of(tree.FilePath).AnalyzerOptions.TryGetValue("generated_code", out var value) || !bool.TryParse(value, out var isGenerated)
                ? GeneratedKind.Unknown
            : isGenerated ? GeneratedKind.MarkedGenerated : GeneratedKind.NotGenerated;

        public override bool TryGetDiagnosticValue(SyntaxTree tree, string diagnosticId, CancellationToken cancellationToken, out ReportDiagnostic severity) =>
            config.Of(tree.FilePath).TreeOptions.TryGetValue(diagnosticId, out severity);

        public override bool TryGetGlobalDiagnosticValue(string diagnosticId, CancellationToken cancellationToken, out ReportDiagnostic severity) =>
            config._files.GlobalConfigOptions.TreeOptions.TryGetValue(diagnosticId, out severity);
    }
}
