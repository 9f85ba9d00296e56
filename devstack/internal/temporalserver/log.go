package temporalserver

import (
	"fmt"
	"os"

	"go.temporal.io/server/common/log"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newLogger writes readable lines to standard output. Quieten leaves only fatal ones: while the four
// services stop, each complains about every other that is gone already.
func newLogger(level string) (_ log.Logger, quieten func(), err error) {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, nil, fmt.Errorf("log level %q is not one of debug, info, warn and error", level)
	}
	atomic := zap.NewAtomicLevelAt(parsed)
	encoder := zap.NewDevelopmentEncoderConfig()
	encoder.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	encoder.CallerKey, encoder.StacktraceKey = zapcore.OmitKey, zapcore.OmitKey
	core := zapcore.NewCore(zapcore.NewConsoleEncoder(encoder), zapcore.Lock(os.Stdout), atomic)
	return log.NewZapLogger(zap.New(core)), func() { atomic.SetLevel(zapcore.FatalLevel) }, nil
}
