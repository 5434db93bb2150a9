;;; omnirt-test.el --- Emacs talks with the real daemon  -*- lexical-binding: t; -*-

;;; Commentary:

;; Run by tests/hosts/test_emacs.py, behind the configuration of the page, with
;; a file for process ids as its argument.  The tests share a daemon.

;;; Code:

(require 'ert)
(require 'omnirt)

(defconst omnirt-test-wait-s 30 "For a busy machine; only a failure uses it up.")
(defvar omnirt-test-pids (pop command-line-args-left) "A file.")

(defmacro omnirt-test-until (condition)
  "Wait until CONDITION is true, and give what it gives."
  `(let ((deadline (time-add nil omnirt-test-wait-s)) found)
     (while (not (setq found ,condition))
       (when (time-less-p deadline nil)
         (ert-fail (list 'never ',condition (omnirt-test-shown))))
       (accept-process-output nil 0.05))
     found))

(defun omnirt-test-shown ()
  "The lines of the latest transcript."
  (with-current-buffer (car omnirt--used)
    (split-string (buffer-substring-no-properties (point-min) (point-max))
                  "\n" t)))

(defun omnirt-test-talk (rules &rest session)
  "Start a talk with a simulator that follows RULES; SESSION has more members."
  (let ((omnirt-session
         `(:settings (:provider "simulator"
                      :simulator (:speed ,(or (plist-get session :speed) 20)
                                  :script (:rules ,rules)))
           :realtime (:modalities [,(or (plist-get session :modality) "text")]))))
    (prog1 (omnirt-talk (plist-get session :agent))
      (write-region (format "%d\n" (process-id omnirt--process))
                    nil omnirt-test-pids t 'quiet))))

(defun omnirt-test-calls (tool arguments)
  "Rules whose model calls TOOL with ARGUMENTS, and tells what it gave."
  `[(:on "text" :do [(:call (:tool ,tool :arguments ,arguments))])
    (:on "tool_output" :do [(:text "Told: {tool_output}")])])

(defun omnirt-test-stop ()
  "End the talk and wait for its end."
  (omnirt-stop)
  (omnirt-test-until
   (equal (car (last (omnirt-test-shown))) "* The talk is over: stopped")))

(ert-deftest omnirt-test-0-with-what-the-page-configures-there-is-small-talk ()
  (command-execute #'omnirt-talk)
  (omnirt-say "Hello")
  (omnirt-test-until
   (equal (omnirt-test-shown)
          '("You: Hello" "editor: Hello there, it is good to hear you.")))
  (omnirt-test-stop))

(ert-deftest omnirt-test-1-what-was-said-is-in-the-transcript ()
  (let ((buffer (omnirt-test-talk
                 [(:match "Grüße" :do [(:text "Schöne Grüße zurück 👋")])
                  (:do [(:text "You said {text}")])])))
    (omnirt-say "Grüße\naus 日本")
    (omnirt-say "second")
    (omnirt-test-until (member "editor: You said second" (omnirt-test-shown)))
    (should (equal (omnirt-test-shown)
                   '("You: Grüße" "  aus 日本"
                     "editor: Schöne Grüße zurück 👋"
                     "You: second" "editor: You said second")))
    (with-current-buffer buffer
      (should buffer-read-only)
      (should (derived-mode-p 'special-mode))
      (omnirt-test-until (equal omnirt-transcript--state "listening")))
    (omnirt-test-stop)
    (should-error (omnirt-say "too late") :type 'user-error)))

(ert-deftest omnirt-test-2-two-talks-have-a-buffer-each-and-one-daemon ()
  (let* ((one (omnirt-test-talk [(:do [(:text "first talk: {text}")])]))
         (process omnirt--process)
         (two (omnirt-test-talk [(:do [(:text "second talk: {text}")])])))
    (should (eq process omnirt--process))
    (with-current-buffer one (omnirt-say "a"))
    (omnirt-test-until (member "editor: first talk: a" (omnirt-test-shown)))
    (with-current-buffer two (omnirt-say "b"))
    (omnirt-test-until (member "editor: second talk: b" (omnirt-test-shown)))
    (should-not (string-match-p "first" (with-current-buffer two (buffer-string))))
    (kill-buffer one)
    (omnirt-test-until (= 1 (omnirt-test-sessions)))
    (kill-buffer two)
    (omnirt-test-until (= 0 (omnirt-test-sessions)))))

(ert-deftest omnirt-test-2-the-newest-talk-that-goes-on-is-meant ()
  (let ((one (omnirt-test-talk [(:do [(:text "first: {text}")])]))
        (failed (omnirt-talk "nobody")))
    (omnirt-test-until (member "* The talk is over: it could not be started"
                               (omnirt-test-shown)))
    (omnirt-say "caf\351 a\0b")            ; unibyte
    (with-current-buffer failed
      (should (equal (cadr (should-error (omnirt-say "too late") :type 'user-error))
                     "This talk is over; M-x omnirt-talk begins one")))
    (omnirt-say (concat "second ✓ " (string (unibyte-char-to-multibyte 255))))
    (with-current-buffer one
      (omnirt-test-until (string-match-p "first: second ✓ \ufffd" (buffer-string)))
      (should (string-match-p "^You: caf\ufffd a\ufffdb$" (buffer-string))))
    (with-temp-buffer
      (rename-buffer "lines.txt")
      (insert "a line")
      (omnirt-send 1 (point-max)
                   (concat "what? " (string (unibyte-char-to-multibyte 255)))))
    (with-current-buffer one
      (omnirt-test-until
       (string-match-p "You: what\\? \ufffd\neditor: first" (buffer-string))))
    (omnirt-test-stop)))

(defun omnirt-test-sessions ()
  "How many sessions the daemon has."
  (length (plist-get (jsonrpc-request omnirt--daemon :session.list nil)
                     :sessions)))

(ert-deftest omnirt-test-3-emacs-carries-out-tools ()
  (with-temp-buffer
    (rename-buffer "work.txt")
    (insert "one\ntwo ✓ " (unibyte-char-to-multibyte 255))
    (set-window-buffer nil (current-buffer))
    (omnirt-test-talk (omnirt-test-calls "read_buffer" "{}"))
    (omnirt-say "read")
    (omnirt-test-until (seq-some (lambda (line)
                                   (string-match-p "^editor: Told: .*}$" line))
                                 (omnirt-test-shown)))
    (should (member "* read_buffer({}): completed" (omnirt-test-shown)))
    (should (equal (json-parse-string (string-remove-prefix
                                       "editor: Told: "
                                       (car (last (omnirt-test-shown))))
                                      :object-type 'plist)
                   '(:path "work.txt" :line 2 :text "one\ntwo ✓ \ufffd")))
    (omnirt-test-stop)))

(ert-deftest omnirt-test-4-a-tool-that-fails-or-is-unknown-is-told ()
  (omnirt-test-talk (omnirt-test-calls "open_file" '(:path "/no/such/file")))
  (omnirt-say "open")
  (omnirt-test-until
   (member (concat "* open_file({\"path\":\"/no/such/file\"}): "
                   "failed, There is no file /no/such/file")
           (omnirt-test-shown)))
  (omnirt-test-stop)
  (let ((omnirt-tools '(("read_buffer" . (lambda (_) '(not . json))))))
    (omnirt-test-talk (omnirt-test-calls "read_buffer" "{}"))
    (omnirt-say "read")
    (omnirt-test-until (seq-some (lambda (line) (string-match-p "failed" line))
                                 (omnirt-test-shown)))
    (omnirt-test-stop)))

(ert-deftest omnirt-test-5-the-user-approves-and-messages-are-read-meanwhile ()
  (let ((other (omnirt-test-talk [(:do [(:text "other: {text}")])]))
        asked (answers '(nil t)))
    (with-temp-buffer
      (rename-buffer "work.txt")
      (insert "one\ntwo\n")
      (goto-char (point-min))
      (set-window-buffer nil (current-buffer))
      (cl-letf (((symbol-function 'y-or-n-p)
                 (lambda (question)
                   ;; while the prompt stands another talk goes on
                   (with-current-buffer other (omnirt-say "still there?"))
                   (omnirt-test-until
                    (with-current-buffer other
                      (= (1+ (length asked))
                         (how-many "other: still there" (point-min)))))
                   (push question asked)
                   (pop answers))))
        (let ((talk (omnirt-test-talk
                     (omnirt-test-calls "insert_text" '(:text "new ✓")))))
          (dolist (result '("rejected" "completed"))
            (with-current-buffer talk (omnirt-say "insert"))
            (omnirt-test-until
             (with-current-buffer talk
               (member (format "* insert_text({\"text\":\"new ✓\"}): %s" result)
                       (split-string (buffer-string) "\n")))))
          (should (equal (buffer-string) "one\nnew ✓\ntwo\n"))
          (should (equal (car asked)
                         "May editor run insert_text({\"text\":\"new ✓\"})? "))
          (with-current-buffer talk (omnirt-test-stop)))))
    (with-current-buffer other (omnirt-stop))))

(ert-deftest omnirt-test-6-an-interrupt-shows-what-was-heard ()
  (omnirt-test-talk [(:do [(:say "story")])] :speed 4 :modality "audio")
  (omnirt-say "story")
  (omnirt-test-until (seq-some (lambda (line) (string-match-p "night" line))
                               (omnirt-test-shown)))
  (omnirt-interrupt)
  (let ((line (omnirt-test-until
               (seq-find (lambda (line) (string-suffix-p " [cut]" line))
                         (omnirt-test-shown)))))
    (should (string-prefix-p "editor: Once" line))
    (should-not (string-match-p "night" line)))
  (omnirt-test-stop))

(ert-deftest omnirt-test-7-a-region-is-shown-handoffs-and-errors-are-told ()
  (omnirt-test-talk [(:match "bill" :do [(:hand_off "billing")])
                     (:match "twice" :do [(:text "{text}")])
                     (:on "any" :do [(:fail "quota")])]
                    :agent "reception")
  (with-temp-buffer
    (rename-buffer "bill.txt")
    (insert "one\nbill twice")
    (omnirt-send 1 (point-max) "What is this?"))
  (omnirt-test-until (member "* You show bill.txt, lines 1 to 2"
                             (omnirt-test-shown)))
  (omnirt-test-until (member "* reception hands over to billing"
                             (omnirt-test-shown)))
  (omnirt-test-until (seq-some (lambda (line) (string-match-p "^! " line))
                               (omnirt-test-shown)))
  (omnirt-talk "nobody")
  (omnirt-test-until (member "* The talk is over: it could not be started"
                             (omnirt-test-shown))))

(ert-deftest omnirt-test-7-devices-are-those-of-the-daemon ()
  (let ((omnirt-devices '(:input "no-such-microphone")))
    (omnirt-test-talk [])
    (omnirt-test-until (seq-some
                        (lambda (line) (string-match-p "^! There is no micro" line))
                        (omnirt-test-shown)))))

(ert-deftest omnirt-test-8-a-daemon-that-dies-is-told-and-another-is-started ()
  (omnirt-test-talk [(:do [(:text "{text}")])])
  (omnirt-test-until (with-current-buffer (car omnirt--used)
                       (equal omnirt-transcript--state "listening")))
  (signal-process omnirt--process 'KILL)
  (omnirt-test-until (member "* The talk is over: the daemon is gone"
                             (omnirt-test-shown)))
  (omnirt-test-talk [(:do [(:text "again: {text}")])])
  (omnirt-say "hello")
  (omnirt-test-until (member "editor: again: hello" (omnirt-test-shown))))

;; The last talk is not over: Emacs leaves its daemon no longer than itself.
(ert-run-tests-batch-and-exit)
;;; omnirt-test.el ends here
